"""A parser of pages that browsers would mend in silence."""

from html.parser import HTMLParser

VOID = {"img", "meta", "br"}


class StrictParser(HTMLParser):
    """Refuses tags that are closed in another order than they were opened, and collects the table's cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells.append(data)
