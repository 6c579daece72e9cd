"""The dashboard's pages: one file a page; what they share lies in pages.parts."""
