#!/bin/sh
# /usr/local/bin/control-center: a verb with the account, the settings and the secrets that the services have.
# As root. Files named on the command line are looked for in the present folder, and must be readable by the account;
# `-` where a verb takes a file reads what is piped in. Changes are signed with the name of whoever types.
exec systemd-run --quiet --pipe --wait --collect --property="WorkingDirectory=-$PWD" \
    --property=User=control-center --property=Group=control-center --property=UMask=0077 \
    --setenv=CONTROL_CENTER_CONFIG=/etc/control-center/control_center.toml \
    --setenv=CONTROL_CENTER_DATA_DIR=/var/lib/control-center \
    --setenv=TERM="${TERM:-dumb}" --setenv=NO_COLOR="${NO_COLOR:-}" \
    --setenv=LOGNAME="${SUDO_USER:-$(id -un)}" \
    --property=EnvironmentFile=-/etc/control-center/control_center.env \
    --property=LoadCredential=database_url:control-center.database_url \
    --property=LoadCredential=broker_url:control-center.broker_url \
    --property=LoadCredential=sms_secret:control-center.sms_secret \
    --property=LoadCredential=smtp_url:control-center.smtp_url \
    --property=LoadCredential=api_token:control-center.api_token \
    --property=LoadCredential=link_key:control-center.link_key \
    /opt/control-center/bin/control-center "$@"
