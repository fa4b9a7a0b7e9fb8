"""`python -m jobs`: the scheduler process."""

import asyncio
import logging
import os

from jobs.clockwork import schedule
from loyalty.main import configure_logging
from loyalty.settings import Settings

settings = Settings.from_environment(os.environ)
configure_logging(settings.log_level)
logging.getLogger("apscheduler").setLevel(logging.WARNING)
asyncio.run(schedule(settings))
