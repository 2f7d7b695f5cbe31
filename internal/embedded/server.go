//go:build !lean

package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Available says whether this binary has the server.
const Available = true

// answerTimeout bounds the wait for a started server's first answer, which takes half a second.
const answerTimeout = 30 * time.Second

// start brings the parts up one after the other, each with its way down in s.stops, so that Close undoes what was done
// wherever start ended.
func (s *Server) start(ctx context.Context, cfg Config) error {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := acquireLock(dir)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, lock.release)

	files, err := openFiles(ctx, dir, cfg)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, files.flush)

	if err := s.startTemporal(ctx, cfg, files); err != nil {
		return err
	}
	if cfg.UIListen == "" {
		return nil
	}
	return s.startUI(ctx, cfg)
}

func (s *Server) startTemporal(ctx context.Context, cfg Config, files files) error {
	engine, err := launch(ctx, cfg, files, choosePorts)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, engine.stop)
	s.address = engine.address
	return awaitNamespace(ctx, s.address, s.namespace)
}

func (s *Server) startUI(ctx context.Context, cfg Config) error {
	ui, err := serveUI(ctx, cfg, s.address)
	if err != nil {
		return err
	}
	s.stops = append(s.stops, ui.stop)
	s.uiAddress = ui.address
	return nil
}

// awaitNamespace returns when the frontend has answered a call about the namespace.
func awaitNamespace(ctx context.Context, address, namespace string) (err error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to Temporal: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()

	_, err = workflowservice.NewWorkflowServiceClient(conn).DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: namespace}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("wait for Temporal's first answer: %w", err)
	}
	return nil
}
