// Runs a node as behind NAT: in a network namespace of its own, out of which it can open connections to the ports named,
// and into which nobody can. To be started by `unshare -n`; arguments: a socket that leads out, ports with commas, and
// the arguments of the command line.
import { execFileSync, spawn } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { cliPath } from './run-cli.ts'

const [out = '', ports = '', ...cli] = process.argv.slice(2)
execFileSync('ip', ['link', 'set', 'lo', 'up'])
const both = (a: Socket, b: Socket): void => {
  pipeline(a, b, () => undefined)
  pipeline(b, a, () => undefined)
}
for (const port of ports.split(',').map(Number)) {
  createServer({ allowHalfOpen: true }, socket => {
    const outside = connect({ path: out, allowHalfOpen: true })
    outside.write(`${port}\n`)
    both(socket, outside)
  }).listen(port, '127.0.0.1')
}
const child = spawn(process.execPath, [cliPath, ...cli], { stdio: 'inherit' })
child.once('exit', code => process.exit(code ?? 1))
process.once('SIGTERM', () => child.kill('SIGKILL'))
process.once('disconnect', () => child.kill('SIGKILL'))
