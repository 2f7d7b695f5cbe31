// Package webhooks tells customers' systems what became of their memories and batches: endpoints, events that are owed,
// deliveries with a first try in process and durable retries, signed by Standard Webhooks, and a guard that keeps them
// away from forbidden addresses.
package webhooks
