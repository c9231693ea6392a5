from pathlib import Path

import click
import pytest
import trustme
from undertone_sidecar.answer_cache.redis_client import redis_client
from undertone_sidecar.answer_cache.settings import CacheSettings, RedisAddress, redis_address
from undertone_sidecar.testing import read_settings

URL = "--cache-redis=rediss://redis:6379"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress("cache", 6379, 0, None, tls=False)),
        ("rediss://us%40er@[::1]:7000/3", RedisAddress("::1", 7000, 3, "us@er", tls=True)),
    ],
)
def test_the_url_names_host_port_database_user_and_tls(url: str, address: RedisAddress) -> None:
    assert redis_address(url) == address


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cache-bytes=1"], "--cache-bytes is 1: use at least 1048576, or 0 to keep no answers in memory"),
        (["--cache-redis=cache:6379"], "--cache-redis: 'cache:6379' is invalid: use redis://HOST:PORT/DATABASE"),
        (["--cache-redis=redis://cache:x"], "--cache-redis: 'redis://cache:x' is invalid: use redis://HOST:PORT/DATABASE"),
        (["--cache-redis=redis://:a/secret@cache"], "--cache-redis: the URL is invalid: use redis://HOST:PORT/DATABASE"),
        (["--cache-redis=redis://cache/answers"], "'redis://cache/answers' is invalid"),
        (["--cache-redis=redis://cache?db=1"], "the URL has a part after ? or #"),
        (["--cache-redis=redis://reader@cache"], "has the user 'reader' without a password"),
        (["--cache-redis=redis://cache", "--cache-redis-ca=ca.crt"], "need TLS: use rediss://"),
        (["--cache-redis-ca=ca.crt"], "--cache-redis-ca is set without --cache-redis"),
        (["--cache-redis-ttl-seconds=60"], "--cache-redis-ttl-seconds is set without --cache-redis"),
        ([URL, "--cache-redis-cert=tls.crt"], "belong together"),
        ([URL, "--cache-redis-password-file=missing"], "--cache-redis-password-file missing is not a file"),
        (["--cache-redis-timeout-seconds=0"], "0 is not in the range 0.0005<=x<=1"),
        (["--cache-redis-password=secret"], "--cache-redis-password is no option, because process lists show options"),
    ],
)
def test_invalid_settings_are_refused_with_the_remedy(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(click.UsageError) as error:
        read_settings(f"--model-dir={tmp_path}", *arguments)
    assert message in error.value.format_message()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:secret@cache:6379", "use --cache-redis-password-file or the environment variable"),
        ("redis://cache:x?password=secret", "the URL is invalid"),
        ("redis://cache:6379?password=secret", "the URL has a part after ? or #, which may be a password"),
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(click.UsageError) as error:
        read_settings(f"--model-dir={tmp_path}", f"--cache-redis={url}")
    assert message in error.value.format_message()
    assert "secret" not in error.value.format_message()


def test_a_password_is_read_from_the_variable_and_not_shown(tmp_path: Path) -> None:
    variable = {"UNDERTONE_CACHE_REDIS_PASSWORD": "s3cret"}
    settings = read_settings(f"--model-dir={tmp_path}", URL, **variable)
    assert settings.cache_redis_password == variable["UNDERTONE_CACHE_REDIS_PASSWORD"]
    assert "s3cret" not in repr(settings)
    file = tmp_path / "password"
    file.write_text("other")
    with pytest.raises(click.UsageError, match="exclude each other"):
        read_settings(f"--model-dir={tmp_path}", URL, f"--cache-redis-password-file={file}", **variable)


def test_files_without_certificates_are_refused_at_the_start(tmp_path: Path) -> None:
    ca, chain, key = (tmp_path / name for name in ("ca.crt", "tls.crt", "tls.key"))
    options = [URL, f"--cache-redis-ca={ca}", f"--cache-redis-cert={chain}", f"--cache-redis-key={key}"]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("sidecar").cert_chain_pems[0].write_to_path(str(chain))
    authority.issue_cert("sidecar").private_key_pem.write_to_path(str(key))
    with pytest.raises(click.UsageError, match="are not a certificate and its private key"):
        read_settings(f"--model-dir={tmp_path}", *options)
    ca.write_text("no certificate")
    with pytest.raises(click.UsageError, match=r"--cache-redis-ca .*ca\.crt has no CA certificate: use a PEM file"):
        read_settings(f"--model-dir={tmp_path}", *options)


async def test_renewed_certificates_are_read_for_the_next_connection(tmp_path: Path) -> None:
    ca, chain, key = (tmp_path / name for name in ("ca.crt", "tls.crt", "tls.key"))
    pool = redis_client(
        CacheSettings(cache_redis="rediss://cache", cache_redis_ca=ca, cache_redis_cert=chain, cache_redis_key=key)
    ).connection_pool
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    for name in ("first", "second"):
        authority = trustme.CA(organization_name=name)
        certificate = authority.issue_cert("sidecar")
        authority.cert_pem.write_to_path(str(ca))
        certificate.cert_chain_pems[0].write_to_path(str(chain))
        certificate.private_key_pem.write_to_path(str(key))
        context = connection._connection_arguments()["ssl"]
        assert name in str(context.get_ca_certs())
        assert context.check_hostname
