// A producer, with or without transactions.
'use strict'

const { CODECS, Partitioners, bytes, kafka } = require('./settings.js')

// Headers are an object here: those of one name are a list.
function headers(pairs) {
  const found = {}
  for (const [name, value] of pairs) {
    if (name in found) {
      found[name] = [].concat(found[name], [bytes(value)])
    } else {
      found[name] = bytes(value)
    }
  }
  return found
}

class Writing {
  static async open(asked) {
    const producer = kafka(asked).producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      idempotent: asked.idempotent,
      transactionalId: asked.transactionalId,
      ...(asked.idempotent ? { maxInFlightRequests: 1 } : {})
    })
    await producer.connect()
    return new Writing(producer, CODECS[asked.codec])
  }

  constructor(producer, compression) {
    this.producer = producer
    this.compression = compression
    this.transaction = null
  }

  async send({ topic, records }) {
    const messages = records.map(([key, value, pairs]) => ({ key: bytes(key), value: bytes(value), headers: headers(pairs) }))
    const size = messages.reduce((sum, each) => sum + (each.value?.length ?? 0), 0)
    // It sends what it is given as one batch per partition: of large records, one by one.
    const parts = size > 1 << 20 ? messages.map(each => [each]) : [messages]
    for (const part of parts) {
      await (this.transaction ?? this.producer).send({ topic, messages: part, acks: -1, compression: this.compression })
    }
  }

  async begin() {
    this.transaction = await this.producer.transaction()
  }

  async commit() {
    await this.transaction.commit()
    this.transaction = null
  }

  async abort() {
    await this.transaction.abort()
    this.transaction = null
  }

  async offsets(reader) {
    await this.transaction.sendOffsets({ consumerGroupId: reader.group, topics: reader.stands() })
  }

  async close() {
    await this.producer.disconnect()
  }
}

module.exports = { Writing }
