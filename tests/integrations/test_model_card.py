"""A model card that the agent wrote, as the Hub's own reader `huggingface_hub` understands it."""

import json
from itertools import product

import pytest

CARDS = {
    "none": "",
    "title": "# Digits\n",
    "block": "---\n# the licence\nlicense: mit\ntags: [a, b]  # two\n---\n# Digits\n",
    "entry": "---\nco2_eq_emissions:\n  emissions: 1\n  geographical_location: Quebec\nlicense: mit\n---\n# Digits\n",
}
FORMS = {"lf": lambda text: text, "crlf": lambda text: text.replace("\n", "\r\n"), "bom": lambda text: "\ufeff" + text}
WRITE = """
import json, sys
from pathlib import Path
import traceml_agent
from traceml_agent import push_to_card

with traceml_agent.track("digits", kind="training") as run:
    sum(n * n for n in range(300_000))
from huggingface_hub import ModelCard, metadata_load
told = {}
for path in sorted(Path(sys.argv[1]).glob("card-*.md")):
    assert push_to_card(path, run)
    card = ModelCard.load(path)
    told[path.name] = [metadata_load(path), card.data.to_dict(), card.text]
print(json.dumps(told))
print(run.summary.emissions_kg)
"""


@pytest.fixture
def cards(tmp_path):
    """A card of every kind and form, by name."""
    found = {}
    for (kind, text), (form, turned) in product(CARDS.items(), FORMS.items()):
        found[f"card-{kind}-{form}.md"] = turned(text)
        (tmp_path / f"card-{kind}-{form}.md").write_bytes(turned(text).encode())
    return found


def test_the_hubs_reader_finds_the_emissions_in_every_card_and_the_rest_as_it_was(run, cards, tmp_path):
    told, emissions_kg = run(WRITE, str(tmp_path))[0].splitlines()
    for name, (metadata, data, text) in json.loads(told).items():
        about = metadata["co2_eq_emissions"]
        assert about["emissions"] == pytest.approx(1000 * float(emissions_kg), rel=1e-5), name
        assert data["co2_eq_emissions"] == about
        assert about["training_type"] == "pre-training"
        assert about.get("geographical_location") == ("Quebec" if "entry" in name else None)
        assert metadata.get("license") == ("mit" if "block" in name or "entry" in name else None)
        assert text.strip() == ("# Digits" if "none" not in name else "")
        written = (tmp_path / name).read_bytes()
        assert written.startswith(b"\xef\xbb\xbf") == name.endswith("bom.md")
        assert ("crlf" in name and "none" not in name) == (b"\r\n" in written)
        kept = [line for line in cards[name].lstrip("\ufeff").splitlines() if "emissions:" not in line]
        assert [line for line in written.decode("utf-8-sig").splitlines() if line in kept] == kept or "none" in name
