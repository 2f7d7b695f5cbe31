// Package llmtest holds what tests need of language models: the suites that every adapter of package llm passes, a
// [Fake] in process, and a [Server] that speaks OpenAI's API over a real socket, really answers, and misbehaves when told.
package llmtest
