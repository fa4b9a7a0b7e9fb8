"""A small former system: two customers, a station, two products, three cards, four receipts' lines, and its maps."""

from loyalty.importing.mapping import Mapping, read_map

CUSTOMERS = "Nr;Firma;Land\n1;Müller & Söhne;DE\n2;Čerpadlo s.r.o.;CZ\n"
CUSTOMERS_MAP = """
source = "old"
kind = "customers"
[file]
delimiter = ";"
[id]
column = "Nr"
[fields]
kind = { const = "organisation" }
name = "Firma"
country = "Land"
"""

STATIONS = "code,name,zone\nS1,Praha 1,Europe/Prague\nS2,Brno,Europe/Prague\n"
STATIONS_MAP = """
source = "old"
kind = "stations"
[id]
column = "code"
[fields]
code = { column = "code", prefix = "OLD-" }
name_zh = "name"
name_en = "name"
entity = { const = "OLD" }
district = { const = "OLD" }
zone = "zone"
currency = { const = "CZK" }
country = { const = "CZ" }
[[setup.entities]]
code = "OLD"
name_zh = "旧"
name_en = "Old Ltd"
currency = "CZK"
[[setup.regions]]
code = "OLD"
name_zh = "旧"
name_en = "Old"
[[setup.districts]]
code = "OLD"
name_zh = "旧"
name_en = "Old"
region = "OLD"
"""

PRODUCTS = "id,name,kind\nN,Nafta,diesel\nW,Wash,\n"
PRODUCTS_MAP = """
source = "old"
kind = "products"
[id]
column = "id"
[fields]
code = { column = "id", prefix = "OLD-" }
name_zh = "name"
name_en = "name"
category = { column = "id", lookup = { N = "fuel" }, otherwise = "shop" }
unit = { column = "id", lookup = { N = "L" }, otherwise = "piece" }
fuel_kind = "kind"
shop_category = { column = "id", lookup = { N = "" }, otherwise = "wash" }
[[setup.products]]
code = "OLD-NOLITRES"
name_zh = "无升数"
name_en = "No litres"
category = "shop"
unit = "piece"
shop_category = "fuel"
"""

ACCOUNTS = "card;owner;balance;as of\n70001;1;1.234,50;31.08.2026\n70002;1;;31.08.2026\n70003;2;99,90;31.08.2026\n"
ACCOUNTS_MAP = """
source = "old"
kind = "accounts"
[file]
delimiter = ";"
[id]
column = "card"
[fields]
number = { column = "card", pad = 10, prefix = "990000" }
customer = "owner"
card_product = { const = "OLD" }
currency = { const = "CZK" }
opening = { column = "balance", decimal = ",", thousands = "." }
opened_at = { column = "as of", format = "%d.%m.%Y", zone = "Europe/Prague" }
[[setup.card_products]]
code = "OLD"
name_zh = "旧卡"
name_en = "Old card"
kind = "company"
currency = "CZK"
number_bin = "990000"
number_length = 17
"""

PRICES = "station,product,price,from\nS1,N,36.90,2026-09-01\nS2,N,36.50,2026-09-01\n"
PRICES_MAP = """
source = "old"
kind = "prices"
[id]
template = "{station}/{product}/{from}"
[fields]
station = "station"
product = "product"
unit_price = "price"
effective_from = { column = "from", zone = "Europe/Prague" }
"""

# Card 70001 fills 30 l and washes; 70002, of the same company, has a wash without a quantity; 70003 a fuel line without litres.
TRANSACTIONS = """id,at,card,station,product,qty,total
1,2026-09-02 10:00:00,70001,S1,N,30,1107.00
2,2026-09-02 10:00:00,70001,S1,W,1,199.00
3,2026-09-02 11:30:00,70002,S2,W,0,250.00
4,2026-09-03 07:15:00,70003,S2,N,0,55.50
"""
TRANSACTIONS_MAP = """
source = "old"
kind = "transactions"
[id]
column = "id"
[fields]
receipt = { template = "{card}/{at}" }
card = "card"
station = "station"
product = "product"
unmetered_product = { const = "OLD-NOLITRES" }
quantity = "qty"
amount = "total"
currency = { const = "CZK" }
event_at = { column = "at", zone = "Europe/Prague" }
"""

KINDS = ("customers", "stations", "products", "accounts", "prices", "transactions")


def map_of(kind: str) -> Mapping:
    return read_map(globals()[f"{kind.upper()}_MAP"].encode())


async def take_small(site, kind: str):
    return await site.take(site.write(f"{kind}.csv", globals()[kind.upper()]), map_of(kind))


async def take_all(site) -> None:
    for kind in KINDS:
        await take_small(site, kind)
