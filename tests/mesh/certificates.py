"""Certificates of strangers, made with openssl at run time."""
import os
import ssl

from program import run

_CA_CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
organizationName = optional
commonName = optional
"""


class Authority:
    """A certificate authority in a folder of its own; with key and certificate given, that one."""

    def __init__(self, folder, key=None, certificate=None):
        os.makedirs(folder)
        self.folder = folder
        self.key = key or os.path.join(folder, "ca-key.pem")
        self.certificate = certificate or os.path.join(folder, "ca.pem")
        self._count = 0
        open(os.path.join(folder, "index.txt"), "w", encoding="ascii").close()
        self._config = os.path.join(folder, "ca.cnf")
        with open(self._config, "w", encoding="ascii") as file:
            file.write(_CA_CONFIG.format(folder=folder))
        if key is None:
            run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                 self.certificate, "-days", "1", "-subj", "/O=strangers",
                 "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign"])

    def leaf(self, subject_alt_name, start="20200101000000Z", end="20491231000000Z"):
        """(certificate path, key path); an empty subject_alt_name leaves the extension out."""
        self._count += 1
        base = os.path.join(self.folder, f"leaf-{self._count}")
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/O=leaf"])
        with open(base + ".ext", "w", encoding="ascii") as file:
            file.write("keyUsage=critical,digitalSignature\n"
                       "extendedKeyUsage=serverAuth,clientAuth\n")
            if subject_alt_name:
                file.write(f"subjectAltName=critical,{subject_alt_name}\n")
        run(["openssl", "ca", "-batch", "-notext", "-config", self._config, "-keyfile", self.key,
             "-cert", self.certificate, "-in", base + ".csr", "-out", base + ".pem",
             "-extfile", base + ".ext", "-startdate", start, "-enddate", end])
        return base + ".pem", base + ".key"


def client_context(certificate=None, version=ssl.TLSVersion.TLSv1_3):
    """Of an HBONE client that believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(*certificate)
    return context


def server_context(certificate):
    """Of an HBONE server that asks no client for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(*certificate)
    return context
