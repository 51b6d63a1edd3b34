"""Fixtures: a sample house is seeded once, and every test gets a copy of it, or shares one where it changes nothing
that another test reads."""

import random

import boto3
import botocore.config
import pytest

import house as h


@pytest.fixture(scope="session")
def seed(tmp_path_factory):
    """The data folder of a sample house that was stopped cleanly."""
    data = tmp_path_factory.mktemp("seed") / "data"
    running = h.House(data)
    running.assert_well()
    running.stop()
    return data


def _stopped(running):
    if running.is_running():
        running.assert_well()
        running.stop()


@pytest.fixture
def house(seed, tmp_path):
    """A house for one test."""
    running = h.House(h.copy_of(seed, tmp_path / "data"))
    yield running
    _stopped(running)


@pytest.fixture(scope="module")
def shared(seed, tmp_path_factory):
    """A house for all tests of one file; they use names of their own."""
    running = h.House(h.copy_of(seed, tmp_path_factory.mktemp("shared") / "data"))
    yield running
    _stopped(running)


@pytest.fixture
def s3(shared):
    return s3_client(shared)


@pytest.fixture
def chance(request):
    """Random numbers that a failed run can be repeated with."""
    number = random.SystemRandom().randrange(2**32)
    print(f"seed {number}")
    return random.Random(number)


def s3_client(house, alias="acme", key=None, **config):
    """boto3 as a stranger would set it up: path style, nothing else of ours."""
    access_key_id, secret = key or house.key(alias)
    config.setdefault("retries", {"max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=house.objects,
        region_name=h.REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        config=botocore.config.Config(s3={"addressing_style": "path"}, **config),
    )
