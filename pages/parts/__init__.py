"""Parts that pages share: text, state, frame, controls, charts, downloads, jobs."""
