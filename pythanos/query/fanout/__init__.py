"""Questions that are no series: asked of every endpoint that announces the API, their answers merged into one."""
