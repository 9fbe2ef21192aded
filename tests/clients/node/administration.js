// The admin client: topics, configs, partitions, groups and their offsets, records. Answers with what was wrong.
'use strict'

const assert = require('node:assert/strict')
const { ConfigResourceTypes } = require('kafkajs')
const { Partitioners, kafka } = require('./settings.js')

const RECORDS = 600
const PARTITIONS = 6

async function faults(asked) {
  const cluster = kafka(asked)
  const admin = cluster.admin()
  await admin.connect()
  try {
    await topics(admin, asked)
    await configs(admin, asked)
    await filled(cluster, asked)
    await groups(cluster, admin, asked)
    await records(admin, asked)
    await partitions(admin, asked)
    await admin.deleteTopics({ topics: [asked.topic] })
    await eventually(asked, async () => assert.ok(!(await admin.listTopics()).includes(asked.topic), 'a deleted topic is listed'))
    return []
  } catch (error) {
    return [String(error)]
  } finally {
    await admin.disconnect()
  }
}

// What one broker was told the others know a moment later.
async function eventually(asked, check) {
  const deadline = Date.now() + asked.timeoutMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > deadline) {
        throw error
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

async function topics(admin, asked) {
  const { brokers, controller } = await admin.describeCluster()
  assert.equal(brokers.length, 3, `there are ${brokers.length} brokers`)
  assert.ok(controller !== null, 'there is no controller')
  const wanted = { topic: asked.topic, numPartitions: PARTITIONS, replicationFactor: 3 }
  assert.equal(await admin.createTopics({ topics: [wanted] }), true, 'the topic was not created')
  assert.equal(await admin.createTopics({ topics: [wanted] }), false, 'a topic could be created twice')
}

async function partitions(admin, asked) {
  await admin.createPartitions({ topicPartitions: [{ topic: asked.topic, count: PARTITIONS + 2 }] })
  await eventually(asked, async () => {
    const told = await admin.fetchTopicMetadata({ topics: [asked.topic] })
    const found = told.topics[0].partitions.length
    assert.equal(found, PARTITIONS + 2, `it has ${found} partitions, not ${PARTITIONS + 2}`)
  })
}

async function configs(admin, asked) {
  const resource = { type: ConfigResourceTypes.TOPIC, name: asked.topic }
  const configEntries = [{ name: 'retention.ms', value: '86400000' }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
  await eventually(asked, async () => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: true, resources: [resource] })
    const found = resources[0].configEntries.find(each => each.configName === 'retention.ms')
    assert.equal(found.configValue, '86400000', `retention.ms is ${found.configValue}`)
  })
}

async function filled(cluster, asked) {
  const producer = cluster.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const messages = Array.from({ length: RECORDS }, (_, number) => ({ partition: number % PARTITIONS, value: String(number) }))
  await producer.send({ topic: asked.topic, messages })
  await producer.disconnect()
}

async function groups(cluster, admin, asked) {
  const groupId = `${asked.topic}-group`
  const consumer = cluster.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topics: [asked.topic], fromBeginning: true })
  let read = 0
  await consumer.run({ eachMessage: async () => { read += 1 } })
  await eventually(asked, async () => assert.equal(read, RECORDS, `it read ${read} of ${RECORDS}`))
  const [told] = (await admin.describeGroups([groupId])).groups
  assert.deepEqual([told.state, told.members.length], ['Stable', 1], `the group is ${told.state} with ${told.members.length}`)
  await assert.rejects(admin.deleteGroups([groupId]), 'a group that reads could be deleted')
  await consumer.disconnect()
  assert.ok((await admin.listGroups()).groups.some(each => each.groupId === groupId), 'the group is not listed')
  await admin.setOffsets({ groupId, topic: asked.topic, partitions: [{ partition: 0, offset: '7' }] })
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [asked.topic] })
  const { offset } = partitions.find(each => each.partition === 0)
  assert.equal(offset, '7', `the offset set to 7 is ${offset}`)
  await admin.deleteGroups([groupId])
  assert.ok(!(await admin.listGroups()).groups.some(each => each.groupId === groupId), 'a deleted group is listed')
}

async function records(admin, asked) {
  const half = String(RECORDS / PARTITIONS / 2)
  await admin.deleteTopicRecords({ topic: asked.topic, partitions: [{ partition: 0, offset: half }] })
  const found = (await admin.fetchTopicOffsets(asked.topic)).find(each => each.partition === 0)
  const wanted = [half, String(RECORDS / PARTITIONS)]
  assert.deepEqual([found.low, found.high], wanted, `the log is from ${found.low} to ${found.high}, not ${wanted.join(' to ')}`)
}

module.exports = { faults }
