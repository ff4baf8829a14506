"""The provider sandbox: loopback HTTP that stands in for SendGrid and Twilio.

The official SDKs talk to it unchanged; it answers, refuses, calls back and lists as the providers document it. The
people behind the addresses are made up (`people`), what they do is derived from a seed, and all of it happens on the
logical clock: nothing is due before its instant, and nothing sleeps.
"""
