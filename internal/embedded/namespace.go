//go:build !lean

package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func searchAttributes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		AttributeWorkspace: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeMemory:    enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeBatch:     enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	}
}

// makeNamespace makes the namespace, or brings one that is there up to date. It writes to the file of a server that is
// not running, so there is no moment at which the namespace or one of its search attributes is not yet known.
func makeNamespace(ctx context.Context, file *config.SQL, cfg Config) error {
	wanted, err := schema.NewNamespaceConfig(clusterName, cfg.Namespace, false, searchAttributes())
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", cfg.Namespace, err)
	}
	wanted.Detail.Config.Retention = durationpb.New(cfg.Retention)
	if err := schema.CreateNamespaces(file, wanted); err != nil {
		return fmt.Errorf("create namespace %s: %w", cfg.Namespace, err)
	}
	if err := updateNamespace(ctx, file, cfg.Namespace, wanted.Detail.GetConfig()); err != nil {
		return fmt.Errorf("update namespace %s: %w", cfg.Namespace, err)
	}
	return nil
}

// updateNamespace writes what the wanted config has and the stored one has not.
func updateNamespace(
	ctx context.Context, file *config.SQL, name string, wanted *persistencespb.NamespaceConfig,
) (err error) {
	db, err := persistencesql.NewSQLDB(
		sqlplugin.DbKindMain, file, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &name})
	if err != nil {
		return err
	}
	row := rows[0] // CreateNamespaces has seen to it that there is one
	changed, err := merge(&row, wanted)
	if err != nil || !changed {
		return err
	}
	_, err = db.UpdateNamespace(ctx, &row)
	return err
}

// merge brings the row's retention and search attributes in line with the wanted ones, and says whether that changed it.
// A search attribute that is there stays in its column: values are stored under it.
func merge(row *sqlplugin.NamespaceRow, wanted *persistencespb.NamespaceConfig) (changed bool, err error) {
	codec := serialization.NewSerializer()
	detail, err := codec.NamespaceDetailFromBlob(persistence.NewDataBlob(row.Data, row.DataEncoding))
	if err != nil {
		return false, err
	}
	before := proto.Clone(detail)
	detail.Config.Retention = wanted.GetRetention()
	if err := addAliases(detail.GetConfig(), slices.Sorted(maps.Values(wanted.GetCustomSearchAttributeAliases()))); err != nil {
		return false, err
	}
	if proto.Equal(before, detail) {
		return false, nil
	}
	blob, err := codec.NamespaceDetailToBlob(detail)
	if err != nil {
		return false, err
	}
	row.Data, row.DataEncoding = blob.GetData(), blob.GetEncodingType().String()
	return true, nil
}

// addAliases gives each name that has no column yet a free Keyword column.
func addAliases(config *persistencespb.NamespaceConfig, names []string) error {
	columns := make(map[string]string, len(names))
	maps.Copy(columns, config.GetCustomSearchAttributeAliases())
	known := slices.Collect(maps.Values(columns))
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		column, err := freeColumn(columns)
		if err != nil {
			return fmt.Errorf("add search attribute %s: %w", name, err)
		}
		columns[column] = name
	}
	config.CustomSearchAttributeAliases = columns
	return nil
}

func freeColumn(taken map[string]string) (string, error) {
	const columns = 10 // of this type, in Temporal's SQLite schema
	for i := range columns {
		column := fmt.Sprintf("Keyword%02d", i+1)
		if _, ok := taken[column]; !ok {
			return column, nil
		}
	}
	return "", fmt.Errorf("all %d Keyword columns are taken", columns)
}
