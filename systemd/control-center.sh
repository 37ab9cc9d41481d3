#!/bin/sh
# /usr/local/bin/control-center: a verb with the account, the settings and the secrets that the services have.
# As root. Files named on the command line are looked for in the present folder, and must be readable by the account;
# `-` where a verb takes a file reads what is piped in. Changes are signed with the name of whoever types.
# Of the environment it hears CONTROL_CENTER_LOG_LEVEL alone: settings are those of the services.

# To systemd a `$` means something; doubled, it reaches the verb as it was typed.
for typed; do
    shift
    word=
    while [ "$typed" != "${typed#*\$}" ]; do
        word=$word${typed%%\$*}\$\$
        typed=${typed#*\$}
    done
    set -- "$@" "$word$typed"
done

# The verb is a service of its own: Ctrl-C, or a terminal that goes, ends us, and has to be passed on.
unit=verb-of-control-center-$$.service
trap 'systemctl stop "$unit" 2>/dev/null' INT TERM HUP
systemd-run --unit="$unit" --quiet --pipe --wait --collect --property="WorkingDirectory=-$PWD" \
    --property=User=control-center --property=Group=control-center --property=UMask=0077 \
    --property=SupplementaryGroups=systemd-journal \
    --property=KillSignal=SIGINT --property=TimeoutStopSec=45 \
    --setenv=CONTROL_CENTER_CONFIG=/etc/control-center/control_center.toml \
    --setenv=CONTROL_CENTER_DATA_DIR=/var/lib/control-center \
    --setenv=CONTROL_CENTER_PRIVATE_SERVERS=no \
    ${CONTROL_CENTER_LOG_LEVEL:+"--setenv=CONTROL_CENTER_LOG_LEVEL=$CONTROL_CENTER_LOG_LEVEL"} \
    --setenv=TERM="${TERM:-dumb}" --setenv=NO_COLOR="${NO_COLOR:-}" \
    --setenv=LOGNAME="${SUDO_USER:-$(id -un)}" \
    --property=EnvironmentFile=-/etc/control-center/control_center.env \
    --property=LoadCredential=database_url:control-center.database_url \
    --property=LoadCredential=broker_url:control-center.broker_url \
    --property=LoadCredential=sms_secret:control-center.sms_secret \
    --property=LoadCredential=smtp_url:control-center.smtp_url \
    --property=LoadCredential=api_token:control-center.api_token \
    --property=LoadCredential=link_key:control-center.link_key \
    /opt/control-center/bin/control-center "$@" <&0 &
run=$!
wait "$run"
code=$?
while kill -0 "$run" 2>/dev/null; do # a signal ends `wait`, and not what is waited for
    wait "$run"
    code=$?
done
exit "$code"
