"""The book: chapters, their figures and widgets, and the way from text to page."""
