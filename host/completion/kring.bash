# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# Completion of kring for bash: to be installed as
# /usr/share/bash-completion/completions/kring.
#
# Sub-commands and options are asked for with --help, so that there is no second list of them.

_kring_commands() {
    kring --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *.*/\1/p'
}

# _kring_options COMMAND
_kring_options() {
    kring "$1" --help 2>/dev/null |
        sed -n 's/^  *\(-[A-Za-z], \)\{0,1\}\(--[a-z][a-z-]*\).*/\2/p'
}

# _kring_sessions ARGUMENT...: numbers and names, of the guest that ARGUMENTs name
_kring_sessions() {
    kring ps --connect-timeout 1 "$@" 2>/dev/null |
        awk 'NR > 1 { print $1; if ($2 != "-") print $2 }'
}

# Those words of the command line that say where the guest is.
_kring_guest() {
    local i
    guest=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket | --region | --doorbell) guest+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
        esac
    done
}

_kring() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} guest

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_kring_commands) --help --version" -- "$word")
        return
    fi
    case $before in
    --socket | --region | --doorbell | --vsock-uds)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        return
        ;;
    --signal)
        mapfile -t COMPREPLY < <(compgen -A signal -- "SIG${word#SIG}")
        return
        ;;
    -s)
        if [[ $command == kill ]]; then
            mapfile -t COMPREPLY < <(compgen -A signal -- "SIG${word#SIG}")
            return
        fi
        ;;
    --on-fork)
        mapfile -t COMPREPLY < <(compgen -W "keep detach kill" -- "$word")
        return
        ;;
    --user | -u)
        mapfile -t COMPREPLY < <(compgen -u -- "$word")
        return
        ;;
    --group)
        mapfile -t COMPREPLY < <(compgen -g -- "$word")
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_kring_options "$command")" -- "$word")
        return
    fi
    case $command in
    attach | kill)
        _kring_guest
        mapfile -t COMPREPLY < <(compgen -W "$(_kring_sessions "${guest[@]}")" -- "$word")
        ;;
    clone | cp | create | stat)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        ;;
    esac
}

complete -F _kring kring
