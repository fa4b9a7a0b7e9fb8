"""The composition root: one Litestar application for API and portals. Everything read from outside is read here."""

import contextlib
import gc
import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Any

import structlog
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.response import Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.authorizations.hot_api import HotRoutes, is_hot
from loyalty.authorizations.worker import Pump
from loyalty.cores import OwnCore
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import open_first_period
from loyalty.policy import load_policy
from loyalty.pos_api import handlers as pos_handlers
from loyalty.pos_api.openapi import CompletedJson
from loyalty.settings import SettingRefused, Settings
from loyalty.web.cashier.routes import cashier
from loyalty.web.fleet.company_api import company_api
from loyalty.web.fleet.routes import fleet
from loyalty.web.me.routes import me
from loyalty.web.office.agreements_api import agreements_api
from loyalty.web.office.backtests_api import backtests_api
from loyalty.web.office.campaigns_api import campaigns_api
from loyalty.web.office.routes import office
from loyalty.web.office.rules_api import rules_api
from loyalty.web.office.simulations_api import simulations_api
from loyalty.web.problems import app_handlers
from loyalty.web.routes import web_routes
from partners.operations.feed_runs import require_consents_of
from partners.operations.offline_codes import offline_path
from partners.web.notices import alliance_notices
from partners.web.office.routes import partners_office
from partners.web.office.waiting import alliances_waiting
from partners.web.partner.routes import partner_portal
from partners.web.places import partner_places
from partners.web.till_api import till_api


@get("/health", summary="Is this process able to serve? / 健康检查", opt={"public": True})
async def health(state: State) -> Response[dict[str, str]]:
    """200 when the database answers a query, else 503; for load balancers and start scripts."""
    try:
        async with state.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception:  # noqa: BLE001 - whatever keeps the database from answering, the answer is the same
        return Response({"status": "database does not answer"}, status_code=503)
    return Response({"status": "ok"})


async def provide_session(state: State) -> AsyncGenerator[AsyncSession, None]:
    """Give a handler its transaction: one request, one transaction, committed before the response starts.

    Litestar closes generator dependencies after it built the response and before it sends the first byte, so a failed COMMIT becomes the
    answer. It must stay the only generator dependency of a route: several would be closed side by side.
    """
    async with transaction(state.sessions) as session:
        yield session


async def provide_now() -> datetime:
    """Give handlers the business instant; only the edge reads a clock."""
    return clock.business_now()


def create_app(settings: Settings) -> Litestar:
    """Build the application of one web process.

    :raises SettingRefused: if no database is named
    """
    if settings.database_url is None:
        raise SettingRefused("A web process needs DATABASE_URL; `loyalty up` gives it that of the embedded server.")
    configure_logging(settings.log_level)
    return Litestar(
        route_handlers=[
            health,
            *pos_handlers,
            *web_routes(demo=settings.fills_demo),
            office,
            partners_office,
            partner_portal,
            till_api,
            rules_api,
            agreements_api,
            simulations_api,
            backtests_api,
            campaigns_api,
            cashier,
            fleet,
            company_api,
            me,
        ],
        dependencies={"session": Provide(provide_session), "now": Provide(provide_now)},
        exception_handlers=app_handlers(),
        openapi_config=OpenAPIConfig(
            title="Loyalty: fuel cards and stored value",
            version="1",
            path="/schema",
            render_plugins=[CompletedJson()],
            use_handler_docstrings=True,
        ),
        lifespan=[_database],
        state=State(
            {
                "settings": settings,
                "notice_sources": (alliance_notices,),
                "waiting_sources": (alliances_waiting,),
                "signed_codes": (offline_path,),
                "resend_guards": (require_consents_of,),
                "place_sources": (partner_places,),
            }
        ),
        # Our own handler logs faults without values; Litestar's would log messages.
        logging_config=None,
        debug=False,
    )


class Application:
    """What the web server calls: the hot routes straight away, everything else through Litestar."""

    def __init__(self, litestar: Litestar) -> None:
        self.litestar = litestar
        self._hot: HotRoutes | None = None

    @property
    def hot(self) -> HotRoutes:
        """The hot routes of this process; there from its start on."""
        if self._hot is None:
            self._hot = HotRoutes(self.litestar.state.pump)
        return self._hot

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one ASGI call."""
        if scope["type"] == "http" and scope["method"] == "POST" and is_hot(scope["path"]):
            await self.hot(scope, receive, send)
        else:
            await self.litestar(scope, receive, send)


def app_from_environment() -> Application:
    """Build the application from this process's environment: what the web server calls in each worker."""
    return Application(create_app(Settings.from_environment(os.environ)))


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error, for every logger of the process."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


@contextlib.asynccontextmanager
async def _database(app: Litestar) -> AsyncIterator[None]:
    """Hold this process's engine, and the keys that its database was written with."""
    settings: Settings = app.state.settings
    assert settings.database_url is not None
    engine = make_engine(settings.database_url, role="loyalty_hot", application_name="loyalty-web")
    keep: Any = app.state
    keep.engine = engine
    keep.sessions = make_sessions(engine)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        async with transaction(keep.sessions) as session:
            now = clock.business_now()
            await open_first_period(session, period=clock.period_of(clock.local_date(now, settings.zone)), now=now)
        core = OwnCore()
        if settings.own_cores:
            core.take()
        earns = load_policy(settings.policy).anonymous.points
        pump = Pump(settings.database_url, keep.sessions, core=core, anonymous_points=earns)
        keep.pump = pump
        await pump.start()
        # What stands now lives as long as the process; the hot path makes no cycles, so the collector need not look often (measured: 7 %).
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        try:
            yield
        finally:
            await pump.stop()
    finally:
        await engine.dispose()
