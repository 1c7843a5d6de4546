"""Models on the Hugging Face hub: where they lie, how they come and go, and the page that tells of them.

The hub's own library, which takes a third of a second to import, is imported when the hub is asked.
"""
