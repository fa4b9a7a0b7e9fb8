"""The reference client by hand: `python -m loyalty.pos_client enrol URL CODE`, then `place`, `sale`, `balance`, `ask`. Answers are JSON.

python -m loyalty.pos_client --state till.json enrol http://127.0.0.1:8000 7K3F-9QXM-…
python -m loyalty.pos_client --state till.json sale 8810012345678903 --pin 1357 --product 92 --litres 22000 --price 78900
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from loyalty.money import line_amount

from .parts import Card, Driver, Fuel
from .problems import ProblemError, TillError
from .state import FileStore
from .till import Till


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loyalty.pos_client", description="A till by hand, on the reference client.")
    parser.add_argument("--state", type=Path, default=Path("till.json"), help="the till's key and journal (default: till.json)")
    commands = parser.add_subparsers(dest="command", required=True)
    enrol = commands.add_parser("enrol", help="make a key and enrol it with a code from the office")
    enrol.add_argument("url")
    enrol.add_argument("code")
    asking = commands.add_parser("ask", help="ask the company about a decline that said may_ask, or see its answer")
    asking.add_argument("authorization")
    commands.add_parser("place", help="who and where this till is, what is sold for how much")
    for name, summary in (("sale", "pay after filling"), ("balance", "what is on a card"), ("quote", "what it may take here and now")):
        command = commands.add_parser(name, help=summary)
        command.add_argument("card")
        command.add_argument("--pin")
        if name == "sale":
            command.add_argument("--product", default="92")
            command.add_argument("--litres", type=int, required=True, help="thousandths of a litre")
            command.add_argument("--price", type=int, required=True, help="ten-thousandths of a currency unit a litre")
            command.add_argument("--driver", metavar="NUMBER", help="who drives, where the company wants it said")
            command.add_argument("--driver-card", metavar="NUMBER", help="the driver's own card in place of their number; it pays nothing")
            command.add_argument("--driver-pin", help="the driver's own PIN")
            command.add_argument("--order", metavar="NUMBER", help="the company's order, used once")
            command.add_argument("--odometer", type=int, metavar="KM")
            command.add_argument("--plate")
            command.add_argument("--continues", metavar="KEY", help="the attempt that asked for more")
            command.add_argument("--curl", action="store_true", help="print the signed request as a curl command instead of sending it")
    return parser


async def _run(arguments: argparse.Namespace) -> Any:
    store = FileStore(arguments.state)
    if arguments.command == "enrol":
        async with await Till.enrol(arguments.url, code=arguments.code, store=store) as till:
            return {"terminal_id": till.state.terminal_id, "station_id": till.state.station_id, "epoch": till.state.epoch}
    async with Till(store) as till:
        await till.resume()
        if arguments.command == "place":
            return await till.place()
        if arguments.command == "ask":
            return await till.ask_company(arguments.authorization)
        card = Card(number=arguments.card, pin=arguments.pin)
        if arguments.command == "sale":
            amount = line_amount(arguments.litres, arguments.price, 2)
            fuel = Fuel(product=arguments.product, quantity_milli=arguments.litres, unit_price_e4=arguments.price, amount_minor=amount)
            own = None if arguments.driver_card is None else Card(number=arguments.driver_card)
            named = arguments.driver is not None or own is not None
            driver = Driver(number=arguments.driver, card=own, pin=arguments.driver_pin) if named else None
            said = {
                "order_number": arguments.order,
                "odometer_km": arguments.odometer,
                "plate": arguments.plate,
                "continues": arguments.continues,
            }
            if arguments.curl:
                return await till.as_curl("/v1/sales", {"fuel": fuel, **said}, card=card, driver=driver)
            return await till.sell(card, fuel=fuel, driver=driver, **said)
        return await (till.balance(card) if arguments.command == "balance" else till.quote(card))


def main() -> int:
    """Run one command; 1 where the server refused or did not answer."""
    try:
        answer = asyncio.run(_run(_parser().parse_args()))
    except ProblemError as problem:
        answer, code = problem.document, 1
    except TillError as error:
        answer, code = {"error": str(error)}, 1
    else:
        code = 0
    sys.stdout.write((answer if isinstance(answer, str) else msgspec.json.format(msgspec.json.encode(answer)).decode()) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
