// Does what remote.py asks, which describes the lines: a connection is a producer, a consumer or an admin client.
'use strict'

const net = require('node:net')
const readline = require('node:readline')
const { Writing } = require('./writing.js')
const { Reading } = require('./reading.js')
const { faults } = require('./administration.js')

const clients = new Map()
let ids = 0

async function handle(id, asked) {
  switch (asked.do) {
    case 'writer':
      clients.set(id, await Writing.open(asked))
      return { id }
    case 'reader':
      clients.set(id, await Reading.open(asked))
      return { id }
    case 'admin':
      return { faults: await faults(asked) }
    case 'close':
      await clients.get(id)?.close()
      clients.delete(id)
      return {}
    case 'offsets':
      await clients.get(id).offsets(clients.get(asked.reader))
      return {}
    default:
      return (await clients.get(id)[asked.do](asked)) ?? {}
  }
}

const server = net.createServer(async socket => {
  const id = ++ids
  try {
    for await (const line of readline.createInterface({ input: socket })) {
      let answer
      try {
        answer = await handle(id, JSON.parse(line))
      } catch (error) {
        answer = { error: String(error) }
      }
      socket.write(JSON.stringify(answer) + '\n')
    }
  } catch (error) {
    console.error(error)
  }
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
