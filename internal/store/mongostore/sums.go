package mongostore

import "go.mongodb.org/mongo-driver/v2/bson"

// sumKeys are what pages add up to, as keys of an index.
func sumKeys() bson.D {
	return doc("queued", 1, "processing", 1, "completed", 1, "degraded", 1, "failed", 1, "cancelled", 1, "rejected", 1, "tokens", 1, "cost", 1)
}
