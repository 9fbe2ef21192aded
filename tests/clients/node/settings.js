// kafkajs's settings for what remote.py calls options: its defaults, except for what was asked.
'use strict'

const fs = require('node:fs')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')

const zstdReady = zstd.init()

// Codecs that it leaves to other packages, as its documentation tells: an object with compress and decompress each.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }) => lz4.compressFrame(buffer),
  decompress: buffer => lz4.decompressFrame(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }) => (await zstdReady, Buffer.from(zstd.compress(buffer, 3))),
  decompress: async buffer => (await zstdReady, Buffer.from(zstd.decompress(buffer)))
})

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}

function sasl(asked) {
  switch (asked.door) {
    case 'OAUTHBEARER':
      return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: fs.readFileSync(asked.tokenFile, 'utf8') }) }
    default:
      return { mechanism: asked.door.toLowerCase(), username: asked.user, password: asked.password }
  }
}

function kafka(asked) {
  const settings = { clientId: asked.clientId, brokers: asked.bootstrap.split(','), logLevel: logLevel.NOTHING }
  if (asked.door !== '') {
    settings.ssl = { ca: [fs.readFileSync(asked.ca)] }
  }
  if (asked.door === 'mTLS') {
    const pem = fs.readFileSync(asked.certificate)
    Object.assign(settings.ssl, { key: pem, cert: pem })
  } else if (asked.door !== '') {
    settings.sasl = sasl(asked)
  }
  return new Kafka(settings)
}

const bytes = text => (text === null ? null : Buffer.from(text, 'base64'))
const text = bytes => (bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('base64'))

module.exports = { CODECS, Partitioners, bytes, kafka, text }
