"""The bounds that `docs/limits.md` states are those of the code."""

import re
from typing import Any

import pytest
from doc_pages import DOCS

from mockserver import json_bodies, workers
from mockserver.openapi import regex
from mockserver.openapi.generate import steps
from mockserver.openapi.schema import alternatives
from mockserver.providers.agilecloud import files, rate_limit, request_ids, usage
from mockserver.providers.agilecloud.batches import input as batch_input
from mockserver.providers.agilecloud.batches import results
from mockserver.providers.agilecloud.chat import logprobs, operations, tools
from mockserver.providers.agilecloud.prompts import renderer, template
from mockserver.sandbox import blobs, journal, manager
from mockserver.sandbox.snapshot import export
from mockserver.server import log_output, process, protocol
from mockserver.web import forms, gateway, large_bodies
from mockserver.web.admin import app
from mockserver.web.answers import loop_turns, space

MIB = 1024 * 1024
PAGE = re.sub(r"\s+", " ", (DOCS / "limits.md").read_text("utf-8"))


@pytest.mark.parametrize(
    ("sentence", "numbers"),
    [
        ("Up to {:,} wait; the next is a 503", (workers.MAX_WAITING,)),
        ("of a schema in a served document | {:,} |", (alternatives.MAX_WAYS,)),
        (
            "such ways, from {:,} on, times the values of a body | {:,} |",
            (alternatives.FEW_WAYS, alternatives.MAX_STEPS),
        ),
        (
            "after {:.0f} ms of work, the server looks for new requests first. Of those that wait, the first, the "
            "latest, and one larger than {:.0f} kB go on in each turn. Up to {:,} wait",
            (loop_turns.ROUND_SECONDS * 1000, loop_turns.SMALL_REQUEST / 1024, loop_turns.MAX_WAITING),
        ),
        ("and {} fields: then 408 or 431", (protocol.MAX_FIELDS,)),
        ("(`--send-timeout`) with less than {:.0f} kB read", (protocol.LEAST_READ / 1024,)),
        (
            "at most {} are made at once, and none is begun while {:.0f} GB of them is unread. What waits longer than "
            "{:.0f} seconds",
            (space.MADE_AT_ONCE, space.DISK_BYTES / MIB / 1024, space.LONGEST_WAIT),
        ),
        (
            "Of other answers of more than {:.0f} kB, {:.0f} MB stay in memory",
            (space.SMALL_BYTES / 1024, space.MEMORY_BYTES / MIB),
        ),
        ("Embeddings of more than {:,} numbers are made", (operations.WHOLE_NUMBERS,)),
        (
            "sent in parts of at most {:.0f} kB, of {:.0f} kB to thousands",
            (blobs.CHUNK_BYTES / 1024, space.LEAST_PART / 1024),
        ),
        ("{:.0f} MB of lines is queued", (log_output.MAX_QUEUED / MIB,)),
        ("Requests under way have {:.0f} seconds", (process.GRACE,)),
        ("1,000 exchanges (`--journal-size`), {:.0f} MiB of texts and bodies", (journal.MAX_BYTES / MIB,)),
        ("and has at most {:.0f} MiB", (blobs.MAX_LINE / MIB,)),
        ("An idle one stays open for {} seconds", (process.KEEP_ALIVE,)),
        ("{} for a form", (gateway.UPLOAD_TIMEOUT,)),
        ("and {} fewer than the system allows open files", (process.SPARE_FILES,)),
        (
            "a form {:.0f} MiB; an admin call {:.0f} MiB; an export {:.0f} MiB",
            (gateway.MAX_UPLOAD / MIB, app.MAX_BODY / MIB, export.MAX_DOCUMENT / MIB),
        ),
        (
            "{:,}, or one for each {} bytes of it, up to {:,}",
            (json_bodies.MAX_VALUES, json_bodies.BYTES_PER_VALUE, json_bodies.MAX_VALUES_LARGE),
        ),
        (
            "{:,}, or one for each {} bytes of it, up to {:,}",
            (json_bodies.MAX_VALUES, export.BYTES_PER_VALUE, export.MAX_DOCUMENT_VALUES),
        ),
        ("parsed one after another, up to {:.0f} MiB at once", (large_bodies.MAX_BYTES / MIB,)),
        ("| sandboxes | {:,} (`--max-sandboxes`)", (manager.MAX_SANDBOXES,)),
        ("| pinned sandboxes | nine in ten of those", ()),
        (
            "only the latest {:,} live events and {:,} of batches are kept for an account",
            (usage.MAX_ENTRIES, usage.MAX_EVENTS),
        ),
        ("A sandbox counts {:,} different requests", (request_ids.MAX_ASKED,)),
        ("Blank lines of a batch file are skipped, up to {:,} of them", (batch_input.MAX_BLANK_LINES,)),
        ("change places within windows of {}", (results.WINDOW,)),
        (
            "has up to {} MB; other files have any name and up to {} MB",
            (files.MAX_BATCH_FILE, files.MAX_FILE),
        ),
        (
            "have up to {} fields of {:.0f} KiB and {} files",
            (forms.MAX_FIELDS, forms.MAX_FIELD_BYTES / 1024, forms.MAX_FILES),
        ),
        ("{:,} requests and {:,} tokens, are ours", (rate_limit.REQUESTS, rate_limit.TOKENS)),
        ("at most {:,} of them (400 beyond)", (logprobs.MAX_ENTRIES,)),
        ("has at most {:,} characters and {} groups", (regex.MAX_LENGTH, regex.MAX_GROUPS)),
        ("compiles to at most {:.0f} MB", (regex.SIZES[-1] / MIB,)),
        ("a budget of {:,} steps", (steps.MAX_STEPS,)),
        ("share {:.0f} million more", (steps.MAX_BATCH_STEPS / 1e6,)),
        (
            "{:,} bytes and {:,} values of JSON, {} patterns",
            (steps.MAX_BYTES, steps.MAX_NODES, steps.MAX_PATTERNS),
        ),
        (
            "`minLength` {minLength:,}, `minItems` and `minProperties` {minItems}",
            (tools.LARGEST,),
        ),
        (
            "in a process of its own with {} s of computing and {:.0f} MB of address space",
            (renderer.CPU_SECONDS, renderer.MEMORY / MIB),
        ),
        ("{:,} characters of template, as many of text", (template.MAX_TEMPLATE,)),
        ("{:,} characters of template, as many of text", (renderer.MAX_OUTPUT,)),
        ("{:.0f} MB of variables", (template.MAX_VARIABLES / MIB,)),
    ],
)
def test_the_page_of_limits_states_the_bounds_of_the_code(sentence: str, numbers: tuple[Any, ...]) -> None:
    named = numbers[0] if numbers and isinstance(numbers[0], dict) else {}

    assert sentence.format(*numbers, **named) in PAGE


def test_nine_in_ten_sandboxes_can_be_pinned_and_a_million_steps_render_templates() -> None:
    assert manager.UNPINNED_SHARE == 10
    assert renderer.FUEL == 1_000_000
    assert tools.LARGEST["minItems"] == tools.LARGEST["minProperties"]
