"""One block's answer to a select: matchers to postings, postings to series entries, entries to chunks."""
