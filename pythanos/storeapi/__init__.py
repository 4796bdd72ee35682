"""The internal contract between whoever has series and whoever asks for them, and its fan-out."""
