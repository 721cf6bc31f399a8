"""Node 1 builds its model from another configuration."""

import job

job.train(features=4 if job.NODE == 0 else 6)
