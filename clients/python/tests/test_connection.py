"""Tokens and TLS, against a real gRPC server that asks for both."""

import datetime
import ipaddress
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import vejr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from vejr.v1 import model_pb2, model_pb2_grpc


class Models(model_pb2_grpc.ModelServiceServicer):
    def ListModels(self, request, context):
        if ("authorization", "Bearer let-me-in") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token, or a wrong one")
        return model_pb2.ListModelsResponse(models=[model_pb2.Model(name="models/m")])


@pytest.fixture
def certificate():
    """Key and certificate of 127.0.0.1, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, address = datetime.datetime.now(datetime.timezone.utc), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), signed.public_bytes(pem)


@pytest.fixture
def server(certificate):
    server = grpc.server(ThreadPoolExecutor(2))
    model_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate]))
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_token_goes_over_tls_that_an_authority_vouches_for(server, certificate, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes(certificate[1])
    with vejr.Client(server, token="let-me-in", tls=authority) as client:
        assert [model.name for model in client.models()] == ["models/m"]
    for token in [None, "wrong"]:
        with vejr.Client(server, token=token, tls=authority) as client, pytest.raises(vejr.Error) as refused:
            client.models()
        assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED
        assert refused.value.message == "no token, or a wrong one"


def test_an_authority_that_the_system_does_not_know_is_not_believed(server):
    with vejr.Client(server, token="let-me-in", tls=True) as client, pytest.raises(vejr.Error) as refused:
        client.models()
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(FileNotFoundError):
        vejr.Client(server, tls="no-such.pem")
