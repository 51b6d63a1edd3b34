#!/bin/sh
# Gives `ssh` the secret of a test's session (SSH_ASKPASS).
printf '%s\n' "$BAILEE_TEST_SECRET"
