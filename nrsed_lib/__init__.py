"""nrsed: a reproducible companion to 'Leveraging LLM and Text-Queried Separation for Noise-Robust
Sound Event Detection' (arXiv 2411.01174). The notebooks tell the story; this library does the work."""

__version__ = "0.1.0"
