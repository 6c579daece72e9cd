"""The only package that knows every stage: `work` makes runs, `screens` reads them for the pages."""
