"""Files of ad platforms against the platforms' own published examples (hashes of test addresses only)."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pytest

from core.audiences.exports import ExportOptions, export_audience
from core.audiences.platforms import CONTACT_FIELDS, PLATFORMS, international_number, platform_rows
from core.audiences.sizes import members
from core.errors import RuleError
from core.store import Log
from tests.worlds import at, publish_world

GOLDEN = [
    ("google", "email", "cloudy.sanfrancisco+shopping@gmail.com", "", "223ebda6f6889b14"),
    ("google", "email", " user.name+NYC@Example.com ", "", "f109a2a632fbcea5"),
    ("google", "phone", "(800)555-0100", "1", "fb4f73a6ec5fdb70"),
    ("google", "phone", "+1 800 555 0100", "", "fb4f73a6ec5fdb70"),
    ("meta", "email", "John_Smith@gmail.com", "", "62a14e44"),
    ("meta", "phone", "1(650)555-1212", "1", "e323ec62"),
    ("meta", "first_name", "Mary", "", "6915771b"),
    ("tiktok", "email", "janedoe@gmail.com", "", "d6117306485ed0e5"),
    ("tiktok", "email", "JaneDoe+shop@gmail.com", "", "d6117306485ed0e5"),
    ("tiktok", "phone", "+374-93-828222", "", "65b7e6dcf6f4310f"),
]


def cells(platform: str, code: str = "", **contacts: str | None) -> tuple[dict[str, str], list[tuple[str, str]]]:
    table = pa.table({"user_id": ["u1"], **{name: pa.array([value], pa.string()) for name, value in contacts.items()}})
    rows, rejected = platform_rows(platform, table, code)
    return (rows.to_pylist() or [{}])[0], [(row["field"], row["reason"]) for row in rejected.to_pylist()]


@pytest.mark.parametrize(("platform", "field", "value", "code", "wanted"), GOLDEN)
def test_the_published_examples_of_each_platform_give_its_hashes(platform: str, field: str, value: str, code: str, wanted: str) -> None:
    more = {} if field in ("email", "phone") else {"email": "a@b.example"}
    found, rejected = cells(platform, code, **{field: value}, **more)
    assert found[PLATFORMS[platform].headers[field]].startswith(wanted) and not rejected


def test_meta_keeps_dots_and_plus_and_google_only_outside_of_its_own_mail() -> None:
    plain = sha256(b"a.b+c@gmail.com").hexdigest()
    assert cells("meta", email="A.b+c@gmail.com")[0]["email"] == plain
    assert cells("google", email="A.b+c@gmail.com")[0]["Email"] == sha256(b"ab@gmail.com").hexdigest()
    assert cells("google", email="A.b+c@shop.example")[0]["Email"] == sha256(b"a.b+c@shop.example").hexdigest()


def test_the_headers_are_the_platforms_own_and_country_and_postcode_stay_clear_for_google_alone() -> None:
    full = dict(zip(CONTACT_FIELDS, ("a@b.example", "+441632960001", " Zoë ", "O'Hara", "gb", "SW1A 1AA"), strict=True))
    google, meta, tiktok = (cells(platform, **full)[0] for platform in ("google", "meta", "tiktok"))
    assert list(google) == ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"]
    assert (google["Country"], google["Zip"]) == ("GB", "SW1A 1AA")
    assert google["First Name"] == sha256("zoë".encode()).hexdigest()
    assert list(meta) == ["email", "phone", "fn", "ln", "zip", "country"]
    assert (meta["country"], meta["zip"], meta["ln"]) == tuple(sha256(x).hexdigest() for x in (b"gb", b"sw1a1aa", b"ohara"))
    assert list(tiktok) == ["Email_SHA256", "Phone_SHA256"]


@pytest.mark.parametrize(
    ("raw", "code", "wanted"),
    [
        ("020 7183 8750", "44", "442071838750"),
        ("0044 20 7183 8750", "", "442071838750"),
        ("13800138000", "86", "8613800138000"),
        ("8 (912) 345-67-89", "7", "79123456789"),
        ("06 1234 5678", "39", "390612345678"),
        ("555-0100 ext. 12", "1", "15550100"),
        ("020 7183 8750", "", None),
        ("12", "1", None),
        ("call me", "1", None),
        ("+0 123 456 789", "", None),
        ("1" * 30, "1", None),
    ],
)
def test_a_number_becomes_international_or_is_refused(raw: str, code: str, wanted: str | None) -> None:
    assert international_number(raw, code) == wanted


def test_what_is_hashed_already_passes_and_what_cannot_be_normalised_is_rejected_with_its_reason() -> None:
    done = sha256(b"x@y.example").hexdigest()
    assert cells("meta", email=done.upper())[0]["email"] == done
    found, rejected = cells("google", email="no address", phone="+441632960001")
    assert (found["Email"], len(found["Phone"]), rejected) == ("", 64, [("email", "no e-mail address")])
    assert cells("google", email=None, phone=" ")[1] == [("email", "no address and no number is known")]
    assert cells("google", email="no address", phone=None) == ({}, [("email", "no e-mail address")])


def test_a_person_twice_in_the_users_table_stands_once_in_the_file() -> None:
    table = pa.table({"user_id": ["a", "b"], "email": ["x@y.example", "X@Y.example"]})
    rows, rejected = platform_rows("google", table, "")
    assert rows.num_rows == 1 and rejected.to_pylist() == [
        {"user_id": "b", "field": "email", "reason": "the contacts of another shopper of the file"}
    ]


def test_who_shares_a_contact_with_a_shopper_that_is_held_out_or_refused_is_not_reached_by_it() -> None:
    table = pa.table(
        {"user_id": ["a", "b", "c"], "email": ["a@y.example", None, "c@y.example"], "phone": [None, "+12025550123", "+12025550199"]}
    )
    barred = pa.table({"user_id": ["x", "y"], "email": [" A@Y.example", None], "phone": [None, "1 (202) 555-0123"]})
    for platform in PLATFORMS:
        rows, rejected = platform_rows(platform, table, "1", barred)
        assert rows.num_rows == 1 and [row["user_id"] for row in rejected.to_pylist()] == ["a", "b"]
        assert set(rejected["reason"].to_pylist()) == {"the contact of a shopper who is held out or did not consent"}


@pytest.mark.parametrize("form", sorted(PLATFORMS))
def test_a_second_account_does_not_bring_the_holdout_into_the_file(tmp_path: Path, form: str) -> None:
    users = {f"u{n:02d}": {"mail": f"shopper{n // 2}@shop.example", "consent": "yes" if n % 9 else "no"} for n in range(60)}
    events = [{"user_id": user, "item_id": "i", "event_type": "view", "event_time": at(n / 10)} for n, user in enumerate(users)]
    options = ExportOptions(format=form, contacts={"email": "mail"}, holdout_share=0.3)
    with publish_world(tmp_path / "home", events, users=users).history() as connection:
        manifest = export_audience(connection, {}, {"all": []}, tmp_path / "a.csv", cutoff=at(10), options=options)
        listed = members(connection, {}, {"all": []}, cutoff=at(10), holdout_share=0.3)
    out = listed.filter(pc.or_(listed["holdout"], pc.invert(listed["consents"])))["user_id"].to_pylist()
    rows = pv.read_csv(tmp_path / "a.csv").column(0).to_pylist()
    assert out and rows and not {sha256(users[user]["mail"].encode()).hexdigest() for user in out} & set(rows)
    assert manifest["size"]["exported"]["users"] == manifest["rows"] + manifest["rejected"]["users"]


def test_a_file_needs_an_address_or_a_number_and_a_true_calling_code() -> None:
    with pytest.raises(RuleError, match="e-mail addresses or phone numbers"):
        cells("meta", first_name="Mary")
    for code in ("0", "1234", "x", "٣"):
        with pytest.raises(RuleError, match="calling code"):
            cells("meta", code, phone="123")


USERS = {
    f"u{n:02d}": {"mail": f"Shopper{n}@shop.example" if n % 4 else "=cmd", "consent": "yes" if n % 5 else "no", "age": "65+"}
    for n in range(40)
}


@pytest.fixture
def shop(tmp_path: Path) -> Log:
    events = [{"user_id": user, "item_id": "i", "event_type": "view", "event_time": at(n / 10)} for n, user in enumerate(USERS)]
    return publish_world(tmp_path / "home", events, users=USERS)


def test_a_platform_file_leaves_out_holdout_and_whoever_did_not_consent_and_says_what_it_rejected(shop: Log, tmp_path: Path) -> None:
    options = ExportOptions(format="google", contacts={"email": "mail"}, holdout_share=0.3)
    with shop.history() as connection:
        manifest = export_audience(connection, {}, {"all": []}, tmp_path / "a.csv", cutoff=at(10), options=options)
        again = export_audience(connection, {}, {"all": []}, tmp_path / "b.csv", cutoff=at(10), options=options)
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert manifest["warnings"] == [f"{manifest['rows']} users in the file: ad platforms refuse lists below 100. Widen the rule."]
    assert text.splitlines()[0] == "Email" and not text.startswith("\ufeff") and "shop.example" not in text and "=cmd" not in text
    rows = pv.read_csv(tmp_path / "a.csv").to_pydict()["Email"]
    assert len(rows) == manifest["rows"] and manifest["sha256"] == again["sha256"]
    size = manifest["size"]
    assert size["exported"]["users"] == manifest["rows"] + manifest["rejected"]["users"]
    assert size["without_consent"] == 8 and size["exported"]["users"] + size["holdout_users"] == 32
    refused = {f"Shopper{n}@shop.example".lower() for n in range(0, 40, 5)}
    assert not {sha256(one.encode()).hexdigest() for one in refused} & set(rows)
    assert manifest["rejected"]["reasons"] == {"email: no e-mail address": manifest["rejected"]["values"]}
    record = json.loads((tmp_path / "a.csv.manifest.json").read_text(encoding="utf-8"))
    assert record["contacts"] == {"email": "mail"} and record["holdout"]["users"] == size["holdout_users"]
    with (tmp_path / "a.csv.rejected.csv").open(encoding="utf-8-sig", newline="") as stream:
        told = list(csv.DictReader(stream))
    assert len(told) == manifest["rejected"]["values"] and {row["reason"] for row in told} == {"no e-mail address"}
    assert {int(row["user_id"][1:]) % 4 for row in told} == {0}


def test_a_contact_column_that_does_not_exist_is_refused_and_nothing_is_written(shop: Log, tmp_path: Path) -> None:
    with shop.history() as connection:
        for contacts in ({"email": 'x"; DROP TABLE users; --'}, {"password": "mail"}):
            with pytest.raises(RuleError, match=r"no column|no contact field"):
                options = ExportOptions(format="meta", contacts=contacts)
                export_audience(connection, {}, {"all": []}, tmp_path / "a.csv", cutoff=at(10), options=options)
    assert not (tmp_path / "a.csv").exists()


def test_a_file_below_the_fewest_users_is_refused_and_rare_segments_are_blank(shop: Log, tmp_path: Path) -> None:
    users = sorted(USERS)
    segments = pa.table({"user_id": users, "segment_id": pa.array([7 if n == 1 else n % 2 for n in range(40)], pa.int32())})
    with shop.history() as connection:
        with pytest.raises(RuleError, match="fewer than the 33"):
            options = ExportOptions(holdout_share=0.0, least_users=33)
            export_audience(connection, {}, {"all": []}, tmp_path / "a.csv", cutoff=at(10), options=options)
        options = ExportOptions(format="json", holdout_share=0.0, least_users=5)
        export_audience(connection, {"segments": segments}, {"all": []}, tmp_path / "a.jsonl", cutoff=at(10), options=options)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 32
    assert {row["segment_id"] for row in rows} == {0, 1, None} and [row["user_id"] for row in rows if row["segment_id"] is None] == ["u01"]
