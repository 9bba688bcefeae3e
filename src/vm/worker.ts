import { parentPort, workerData } from 'node:worker_threads'
import type { VmImage } from '../ports/vm.ts'
import { lowerPriority } from './thread.ts'
import { WorkerHost } from './worker-host.ts'
import { buffersOf, toPlainError, type WorkerOptions, type WorkerReply, type WorkerRequest } from './worker-messages.ts'

// The thread's entry: one request at a time, in the order they come.

const port = parentPort
if (port === null) throw new TypeError('vm/worker.ts runs in a worker thread only')

const options = workerData as WorkerOptions
if (options.lane === 'slow') lowerPriority()
const host = new WorkerHost(options)
const reply = (message: WorkerReply, handedOver: ArrayBuffer[] = []): void => port.postMessage(message, handedOver)

let last: Promise<void> = Promise.resolve()
port.on('message', (request: WorkerRequest) => {
  last = last
    .then(() => host.answer(request))
    .then(
      value => {
        const handedOver = request.type === 'snapshot' ? buffersOf(value as VmImage) : []
        if (request.type !== 'close') reply({ type: 'done', value }, handedOver)
      },
      (error: unknown) => reply({ type: 'failed', error: toPlainError(error) }),
    )
})
reply({ type: 'ready' })
