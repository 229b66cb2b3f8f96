// Reads messages and cancellations, prints what it would send, says on message.feedback what became of each.
import { createHash } from "node:crypto";
import { Kafka } from "kafkajs";
import type Cancellation from "./generated/Cancellation";
import type Feedback from "./generated/Feedback";
import type FeedbackStatus from "./generated/FeedbackStatus";
import type Message from "./generated/Message";

const { BROKERS = "localhost:9092", PREFIX = "", CHANNEL = "email", ANSWERS = "0" } = process.env;
const SETTLE_MS = 1000; // cancellations that already lie in Kafka are read first

const kafka = new Kafka({ clientId: "node-sender", brokers: BROKERS.split(",") });
const consumer = kafka.consumer({ groupId: `${PREFIX}node-sender-${CHANNEL}` }); // reads committed records only, by default
const producer = kafka.producer({ idempotent: true }); // the default partitioner is murmur2, as Java's

const cancelled = new Set<string>();
const seen = new Set<string>(); // in production: on disk, for longer than a week
const waiting: { message: Message; readAt: number }[] = [];
let answers = 0;

function known(record: Message | Cancellation): void {
  if (record.schema_version !== 1) throw new Error(`unknown schema_version ${record.schema_version}: upgrade this sender`);
}

async function answer(message: Message, status: FeedbackStatus, more: Partial<Feedback> = {}): Promise<void> {
  const feedback: Feedback = {
    event_id: createHash("sha256").update(`${message.message_id}:${status}`).digest("hex").slice(0, 32),
    message_id: message.message_id,
    user_id: message.user_id,
    channel: message.channel,
    status,
    timestamp: new Date().toISOString(),
    ...more,
  };
  await producer.send({ topic: `${PREFIX}message.feedback`, messages: [{ key: message.user_id, value: JSON.stringify(feedback) }] });
  answers += 1;
}

async function deliver(message: Message): Promise<void> {
  if (cancelled.has(message.message_id)) return answer(message, "skipped", { abort_type: "stale" });
  if (Date.now() >= Date.parse(message.expires_at)) return answer(message, "skipped", { abort_type: "expired" });
  if (message.category === "marketing" && !message.unsubscribe_url?.startsWith("https://"))
    return answer(message, "failed", { abort_log: "no_unsubscribe_url" });
  console.log(JSON.stringify({ to: message.user_id, subject: message.email_subject, body: message.body, label: message.ai_label }));
  await answer(message, "sent");
}

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topics: [`${PREFIX}messages.${CHANNEL}`, `${PREFIX}message.cancellations`], fromBeginning: true });
await consumer.run({
  eachMessage: async ({ topic, message: record }) => {
    if (record.value === null) return;
    if (topic === `${PREFIX}message.cancellations`) {
      const cancellation = JSON.parse(record.value.toString()) as Cancellation;
      known(cancellation);
      cancelled.add(cancellation.message_id);
      return;
    }
    const message = JSON.parse(record.value.toString()) as Message;
    known(message);
    if (seen.has(message.idempotency_key)) return;
    seen.add(message.idempotency_key);
    waiting.push({ message, readAt: Date.now() });
  },
});

while (ANSWERS === "0" || answers < Number(ANSWERS)) {
  const now = Date.now();
  const settled = waiting.every(({ readAt }) => now >= readAt + SETTLE_MS);
  for (const one of settled ? [...waiting] : []) {
    if (now < Date.parse(one.message.send_at)) continue;
    waiting.splice(waiting.indexOf(one), 1);
    await deliver(one.message);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await consumer.disconnect();
await producer.disconnect();
