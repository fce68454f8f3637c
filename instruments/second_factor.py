"""allauth's second factors with their secrets encrypted at rest; it never hands back what it cannot decrypt."""

from allauth.mfa.adapter import DefaultMFAAdapter

from instruments import credentials


class MFAAdapter(DefaultMFAAdapter):
    """allauth's own rules; authenticator secrets and the seeds of recovery codes go through the key ring.

    allauth keeps plain text where an adapter does nothing. A wrong ring raises SecretUnreadable: taken as a secret,
    ciphertext would quietly refuse every right code.
    """

    def encrypt(self, text: str) -> str:
        """``text`` as it is stored."""
        return credentials.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """The secret. Raises SecretUnreadable."""
        return credentials.decrypt(encrypted_text)
