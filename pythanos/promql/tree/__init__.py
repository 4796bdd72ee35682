"""What is done with a finished syntax tree: printing, JSON, preprocessing for a query's times, rewriting."""
