# SPDX-License-Identifier: Apache-2.0
"""Authorities, and certificates that they sign, in a folder."""
import os
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Certificates:
    """NAME.pem and NAME.key of each."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def authority(self, name):
        self.openssl("req", "-x509", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")

    def sign(self, name, subject, authority, extension, days=2):
        """@days < 0: it is not good any more."""
        self.openssl("req", *KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        with open(self.path(f"{name}.ext"), "w", encoding="utf-8") as f:
            f.write(extension + "\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
                     "-days", str(days), "-out", f"{name}.pem", "-extfile", f"{name}.ext")
