package qdranttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// record adds a change to the journal. The lock is held, so the journal has the order in which changes were made. A process
// that is killed loses nothing of it: the system has it by then.
func (s *Server) record(change proto.Message) error {
	if s.journal == nil {
		return nil
	}
	entry, err := anypb.New(change)
	if err == nil {
		_, err = protodelim.MarshalTo(s.journal, entry)
	}
	if err != nil {
		return status.Errorf(codes.Internal, "Service internal error: journal: %v", err)
	}
	return nil
}

// replay makes the changes of the journal, and opens it for more. A last entry that was cut short is taken back.
func (s *Server) replay() error {
	file, err := os.OpenFile(s.cfg.Journal, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	in, size := bufio.NewReader(file), int64(0)
	for {
		entry := &anypb.Any{}
		err := protodelim.UnmarshalOptions{MaxSize: -1}.UnmarshalFrom(in, entry)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			err = s.apply(entry)
		}
		if err != nil {
			return errors.Join(err, file.Close())
		}
		at, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		size = at - int64(in.Buffered())
	}
	if err := file.Truncate(size); err != nil {
		return errors.Join(err, file.Close())
	}
	_, err = file.Seek(size, io.SeekStart)
	s.journal = file
	return err
}

func (s *Server) apply(entry *anypb.Any) error {
	change, err := entry.UnmarshalNew()
	if err != nil {
		return err
	}
	ctx, collections, points := context.Background(), collectionsService{s: s}, pointsService{s: s}
	switch r := change.(type) {
	case *qdrant.CreateCollection:
		_, err = collections.Create(ctx, r)
	case *qdrant.DeleteCollection:
		_, err = collections.Delete(ctx, r)
	case *qdrant.ChangeAliases:
		_, err = collections.UpdateAliases(ctx, r)
	case *qdrant.UpsertPoints:
		_, err = points.Upsert(ctx, r)
	case *qdrant.DeletePoints:
		_, err = points.Delete(ctx, r)
	case *qdrant.SetPayloadPoints:
		_, err = points.SetPayload(ctx, r)
	case *qdrant.CreateFieldIndexCollection:
		_, err = points.CreateFieldIndex(ctx, r)
	case *qdrant.DeleteFieldIndexCollection:
		_, err = points.DeleteFieldIndex(ctx, r)
	default:
		err = fmt.Errorf("%T is no change", r)
	}
	return err
}
