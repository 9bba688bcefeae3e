import assert from 'node:assert/strict'
import { hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { DiskRoom } from '../../../src/storage/disk-room.ts'
import { TestClock } from '../../support/eventually.ts'

describe('storage/disk-room', () => {
  const clock = new TestClock()
  let free = 1_000
  let looks = 0
  const freeBytes = (): number => {
    looks++
    return free
  }
  const room = (minFreeBytes: number): DiskRoom => {
    free = 1_000
    looks = 0
    return new DiskRoom({ ...silentTelemetry, clock, freeBytes }, { dir: 'd', minFreeBytes })
  }

  it('is short below what is kept free, and has room again once there is some', () => {
    const disk = room(500)
    assert.equal(disk.shortage(), undefined)
    free = 499
    clock.advance(1_000)
    const shortage = disk.shortage()
    assert.ok(hasCode(shortage, 'LOG_WRITE_FAILED'))
    assert.deepEqual(shortage.facts, { dir: 'd', freeBytes: 499, minFreeBytes: 500 })
    free = 500
    clock.advance(1_000)
    assert.equal(disk.shortage(), undefined)
  })

  it('looks once a second, however much is written', () => {
    const disk = room(500)
    for (let i = 0; i < 100; i++) disk.shortage()
    clock.advance(999)
    disk.shortage()
    assert.equal(looks, 1)
    clock.advance(1)
    disk.shortage()
    assert.equal(looks, 2)
  })

  it('looks again before a sixteenth of what is kept free is used up', () => {
    const disk = room(500)
    disk.shortage()
    disk.shortage(31)
    assert.equal(looks, 1)
    disk.shortage(1)
    assert.equal(looks, 2)
  })

  it('is never short where nothing is kept free', () => {
    const disk = room(0)
    free = 0
    clock.advance(1_000)
    assert.equal(disk.shortage(), undefined)
  })
})
