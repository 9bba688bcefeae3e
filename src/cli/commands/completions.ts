import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'

interface Word {
  readonly path: string
  readonly commands: readonly string[]
  readonly options: readonly string[]
}

/** Scripts that complete commands and options in a shell, made from the commands themselves. */
export const completionsCommand = (program: Command): Command =>
  new Command('completions')
    .description('Print a completion script for your shell.')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', '\nExample:\n  source <(aonet completions bash)')
    .action((shell: string) => {
      const words = wordsOf(program, '')
      const make = makers[shell]
      if (make === undefined) {
        throw new AoError(
          'INVALID_ARGUMENT',
          'no completions for this shell',
          { shell },
          { hint: 'Say bash, zsh or fish.' },
        )
      }
      process.stdout.write(make(words))
    })

function wordsOf(command: Command, path: string): readonly Word[] {
  const commands = command.commands.map(child => child.name())
  const options = command.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []))
  const own: Word = { path, commands, options: [...options, '--help'] }
  return [own, ...command.commands.flatMap(child => wordsOf(child, `${path} ${child.name()}`.trim()))]
}

/** Bash and zsh share the words: what was typed that is no option is the path to the command. */
const bash = (words: readonly Word[]): string => `_aonet() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) case "$path $word" in
${words
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      "${path.includes(' ') ? '' : ' '}${path}") path="${path}" ;;`)
  .join('\n')}
    esac ;; esac
  done
  case "$path" in
${words.map(({ path, commands, options }) => `    "${path}") COMPREPLY=($(compgen -W "${[...commands, ...options].join(' ')}" -- "$current")) ;;`).join('\n')}
  esac
}
complete -o default -F _aonet aonet
`

const fish = (words: readonly Word[]): string =>
  `${words
    .flatMap(({ path, commands, options }) => {
      const when =
        path === ''
          ? '__fish_use_subcommand'
          : path
              .split(' ')
              .map(word => `__fish_seen_subcommand_from ${word}`)
              .join('; and ')
      return [
        ...commands.map(name => `complete -c aonet -n '${when}' -f -a ${name}`),
        ...options.map(option => `complete -c aonet -n '${when}' -l ${option.slice(2)}`),
      ]
    })
    .join('\n')}\n`

const makers: Readonly<Record<string, (words: readonly Word[]) => string>> = {
  bash,
  zsh: words => `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`,
  fish,
}
