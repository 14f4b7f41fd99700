#include "cli/completion_scripts.h"

namespace clusterd {
namespace {

constexpr std::string_view kBash = R"script(# bash completion for clusterd:
#   source <(clusterd completion bash)
# or, for every shell, as a file of this content:
#   ~/.local/share/bash-completion/completions/clusterd

_clusterd() {
  local IFS=$' \t\n' program=${COMP_WORDS[0]} word line cut value i joins=0
  local -a words=()
  COMPREPLY=()
  # bash takes "--a=b" and "host:1" apart.
  for ((i = 1; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word =~ ^[=:]+$ ]] && ((${#words[@]} > 0)); then
      words[${#words[@]} - 1]+=$word
      joins=1
    elif ((joins)) && [[ -z $COMP_LINE || $COMP_LINE == *"${words[${#words[@]} - 1]}$word"* ]]; then
      words[${#words[@]} - 1]+=$word
      joins=0
    else
      words+=("$word")
      joins=0
    fi
  done
  ((${#words[@]} > 0)) || words=("")
  word=${words[${#words[@]} - 1]}
  # Only what stands behind the last break is replaced.
  cut=${word%"${COMP_WORDS[COMP_CWORD]}"}
  [[ ${COMP_WORDS[COMP_CWORD]} =~ ^[=:]+$ ]] && cut=$word
  value=$word
  [[ $value == -*=* ]] && value=${value#*=}
  [[ $program == "~/"* ]] && program=$HOME/${program#"~/"}
  while IFS= read -r line; do
    case $line in
      :files | :folders)
        compopt -o filenames 2>/dev/null
        [[ $line == :files ]] && i=-f || i=-d
        while IFS= read -r line; do
          COMPREPLY+=("$line")
        done < <(compgen "$i" -- "$value")
        ;;
      *)
        line=${line%%$'\t'*}
        line=${line#"$cut"}
        [[ $line == *[^-A-Za-z0-9_./=:@%+,]* ]] && printf -v line '%q' "$line"
        COMPREPLY+=("$line")
        ;;
    esac
  done < <("$program" __complete "${words[@]}" 2>/dev/null)
}

complete -F _clusterd clusterd
)script";

constexpr std::string_view kZsh = R"script(#compdef clusterd
# zsh completion for clusterd:
#   source <(clusterd completion zsh)
# or, for every shell, as a file _clusterd of this content in a folder of $fpath.

_clusterd() {
  local line text
  local -a candidates
  local paths=
  for line in "${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      ('') ;;
      (:files) paths=files ;;
      (:folders) paths=folders ;;
      (*)
        text=${line%%$'\t'*}
        candidates+=("${text//:/\\:}:${line#*$'\t'}")
        ;;
    esac
  done
  (( ${#candidates} )) && _describe -V clusterd candidates
  case $paths in
    (files) compset -P '-*='; _files ;;
    (folders) compset -P '-*='; _files -/ ;;
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _clusterd "$@"
else
  compdef _clusterd clusterd
fi
)script";

constexpr std::string_view kFish = R"script(# fish completion for clusterd:
#   clusterd completion fish | source
# or, for every shell, as a file of this content:
#   ~/.config/fish/completions/clusterd.fish

function __clusterd_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program __complete $words "$current" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path (string replace -r -- '^-[^=]*=' '' "$current")
            case :folders
                __fish_complete_directories (string replace -r -- '^-[^=]*=' '' "$current")
            case '*'
                echo $line
        end
    end
end

complete -c clusterd -e
complete -c clusterd -f -k -a '(__clusterd_complete)'
)script";

}  // namespace

std::string_view completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  return shell == "fish" ? kFish : "";
}

}  // namespace clusterd
