package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// About returns the version of the server, and its clock; the zero time where it does not say.
func (s *Store) About(ctx context.Context) (version string, clock time.Time, err error) {
	var info struct {
		Version string `bson:"version"`
	}
	if err := s.db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return "", clock, wrap(ctx, err)
	}
	for _, name := range []string{"hello", "isMaster"} { // what speaks the protocol only may know the older name alone
		var hello struct {
			LocalTime time.Time `bson:"localTime"`
		}
		if s.db.RunCommand(ctx, bson.D{{Key: name, Value: 1}}).Decode(&hello) == nil && !hello.LocalTime.IsZero() {
			return info.Version, hello.LocalTime, nil
		}
	}
	return info.Version, clock, nil
}
