// A consumer. kafkajs hands batches to a callback; poll takes what was handed since the last one, and lets it go on.
'use strict'

const { kafka, text } = require('./settings.js')

class Reading {
  static async open(asked) {
    // It has no reading without a group: one of its own then, in which nothing is committed.
    const group = asked.group || `${asked.topic}-alone-${process.hrtime.bigint()}`
    const consumer = kafka(asked).consumer({
      groupId: group,
      readUncommitted: !asked.committedOnly,
      ...(asked.rack ? { rackId: asked.rack } : {}),
      ...(asked.large ? { maxBytesPerPartition: asked.large } : {})
    })
    await consumer.connect()
    const reading = new Reading(consumer, asked.topic, group)
    await reading.start()
    return reading
  }

  constructor(consumer, topic, group) {
    this.consumer = consumer
    this.topic = topic
    this.group = group
    this.partitions = []
    this.batches = []
    this.next = new Map()
    this.arrived = () => {}
  }

  async start() {
    const { GROUP_JOIN, REBALANCING } = this.consumer.events
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.partitions = payload.memberAssignment[this.topic] ?? []
    })
    this.consumer.on(REBALANCING, () => {
      this.partitions = []
    })
    await this.consumer.subscribe({ topics: [this.topic], fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 6,
      eachBatchAutoResolve: true,
      eachBatch: ({ batch }) => new Promise(taken => {
        this.batches.push({ batch, taken })
        this.arrived()
      })
    })
  }

  async poll({ ms }) {
    if (this.batches.length === 0) {
      await new Promise(resolve => {
        const timer = setTimeout(resolve, ms)
        this.arrived = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const records = []
    for (const { batch, taken } of this.batches.splice(0)) {
      for (const each of batch.messages) {
        records.push([batch.partition, Number(each.offset), text(each.key), text(each.value), pairs(each.headers)])
      }
      this.next.set(batch.partition, String(BigInt(batch.lastOffset()) + 1n))
      taken()
    }
    return { records }
  }

  assigned() {
    return { partitions: this.partitions }
  }

  stands() {
    const partitions = [...this.next].map(([partition, offset]) => ({ partition, offset }))
    return [{ topic: this.topic, partitions }]
  }

  async commit() {
    const [{ partitions }] = this.stands()
    await this.consumer.commitOffsets(partitions.map(each => ({ topic: this.topic, ...each })))
    this.next.clear()
  }

  async close() {
    for (const { taken } of this.batches.splice(0)) {
      taken()
    }
    await this.consumer.disconnect()
  }
}

function pairs(headers) {
  return Object.entries(headers ?? {}).flatMap(([name, value]) => [].concat(value).map(one => [name, text(one)]))
}

module.exports = { Reading }
