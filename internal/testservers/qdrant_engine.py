"""Qdrant's own engine (qdrant-edge-py: the segments, indexes and fusion of Qdrant, without its network) behind Qdrant's own
gRPC services (the definitions that qdrant-client brings), for tests: what a server of ours believes about Qdrant is held
against it. It says "ready <port>" once it takes connections and ends when its standard input does.

Collections, aliases and the checks of requests are this file's; filters, searches, fusion, IDF and conditional upserts are
the engine's. What it does not know it refuses.
"""

import shutil
import sys
import tempfile
import threading
from concurrent import futures

import grpc
import qdrant_edge as edge
from qdrant_client import grpc as api
from qdrant_client.grpc import collections_service_pb2_grpc as collections_grpc
from qdrant_client.grpc import points_service_pb2_grpc as points_grpc
from qdrant_client.grpc import qdrant_pb2, qdrant_pb2_grpc


def value(v):
    kind = v.WhichOneof("kind")
    if kind == "struct_value":
        return {k: value(w) for k, w in v.struct_value.fields.items()}
    if kind == "list_value":
        return [value(w) for w in v.list_value.values]
    if kind in (None, "null_value"):
        return None
    return getattr(v, kind)


def proto(v):
    if v is None:
        return api.Value(null_value=0)
    if isinstance(v, bool):
        return api.Value(bool_value=v)
    if isinstance(v, int):
        return api.Value(integer_value=v)
    if isinstance(v, float):
        return api.Value(double_value=v)
    if isinstance(v, str):
        return api.Value(string_value=v)
    if isinstance(v, list):
        return api.Value(list_value=api.ListValue(values=[proto(w) for w in v]))
    return api.Value(struct_value=api.Struct(fields={k: proto(w) for k, w in v.items()}))


def point_id(p):
    return getattr(p, p.WhichOneof("point_id_options"))


def proto_id(i):
    return api.PointId(num=i) if isinstance(i, int) else api.PointId(uuid=str(i))


def refuse(what):
    raise NotImplementedError(what)


def match(m):
    kind = m.WhichOneof("match_value")
    if kind in ("keyword", "integer", "boolean"):
        return edge.MatchValue(getattr(m, kind))
    if kind == "keywords":
        return edge.MatchAny(list(m.keywords.strings))
    if kind == "integers":
        return edge.MatchAny(list(m.integers.integers))
    return refuse(f"match {kind}")


def bounds(r):
    return edge.RangeFloat(**{k: getattr(r, k) for k in ("gt", "gte", "lt", "lte") if r.HasField(k)})


def condition(c):
    kind = c.WhichOneof("condition_one_of")
    if kind == "field":
        f = c.field
        if f.HasField("match"):
            return edge.FieldCondition(key=f.key, match=match(f.match))
        if f.HasField("range"):
            return edge.FieldCondition(key=f.key, range=bounds(f.range))
        return refuse("field condition")
    if kind == "is_empty":
        return edge.IsEmptyCondition(c.is_empty.key)
    if kind == "has_id":
        return edge.HasIdCondition({point_id(i) for i in c.has_id.has_id})
    if kind == "filter":
        return filter_of(c.filter)
    if kind == "nested":
        return edge.NestedCondition(key=c.nested.key, filter=filter_of(c.nested.filter))
    return refuse(f"condition {kind}")


def filter_of(f):
    if f.HasField("min_should"):
        refuse("min_should")
    return edge.Filter(
        must=[condition(c) for c in f.must] or None,
        should=[condition(c) for c in f.should] or None,
        must_not=[condition(c) for c in f.must_not] or None,
    )


def optional_filter(m):
    return filter_of(m.filter) if m.HasField("filter") else None


def payload_of(sel):
    kind = sel.WhichOneof("selector_options")
    if kind == "include":
        return edge.PayloadSelector.Include(list(sel.include.fields))
    if kind == "exclude":
        return edge.PayloadSelector.Exclude(list(sel.exclude.fields))
    return sel.enable if kind else False


def vector_of(v):
    if v.WhichOneof("vector") == "sparse":
        return edge.SparseVector(indices=list(v.sparse.indices), values=list(v.sparse.values))
    return list(v.dense.data)


def query_of(m):
    kind = m.query.WhichOneof("variant")
    if kind == "rrf":
        r = m.query.rrf
        return edge.Fusion.Rrf(k=r.k if r.HasField("k") else 2, weights=list(r.weights) or None)
    if kind == "fusion" and m.query.fusion == api.Fusion.RRF:
        return edge.Fusion.Rrf(k=2)
    if kind != "nearest":
        return refuse(f"query {kind}")
    n = m.query.nearest
    vector = list(n.dense.data) if n.WhichOneof("variant") == "dense" else edge.SparseVector(
        indices=list(n.sparse.indices), values=list(n.sparse.values))
    return edge.Query.Nearest(vector, m.using if m.HasField("using") else None)


def params_of(m):
    idf = edge.IdfParams(filter_of(m.params.idf.corpus)) if m.params.idf.HasField("corpus") else None
    return edge.SearchParams(exact=m.params.exact, idf=idf)


def prefetch_of(m):
    return edge.Prefetch(
        limit=m.limit if m.HasField("limit") else 10, query=query_of(m), filter=optional_filter(m),
        prefetches=[prefetch_of(p) for p in m.prefetch], params=params_of(m))


def request_of(m):
    return edge.QueryRequest(
        limit=m.limit if m.HasField("limit") else 10, query=query_of(m), filter=optional_filter(m),
        prefetches=[prefetch_of(p) for p in m.prefetch] or None, with_payload=payload_of(m.with_payload),
        params=params_of(m))


def scored(p):
    return api.ScoredPoint(id=proto_id(p.id), score=p.score, payload={k: proto(v) for k, v in (p.payload or {}).items()})


def retrieved(p):
    return api.RetrievedPoint(id=proto_id(p.id), payload={k: proto(v) for k, v in (p.payload or {}).items()})


SCHEMA = {
    api.FieldType.FieldTypeKeyword: edge.PayloadSchemaType.Keyword,
    api.FieldType.FieldTypeInteger: edge.PayloadSchemaType.Integer,
    api.FieldType.FieldTypeFloat: edge.PayloadSchemaType.Float,
    api.FieldType.FieldTypeBool: edge.PayloadSchemaType.Bool,
}
DISTANCE = {api.Distance.Cosine: edge.Distance.Cosine, api.Distance.Dot: edge.Distance.Dot}


class Collection:
    def __init__(self, r):
        self.request, self.indexes, self.dir = r, {}, tempfile.mkdtemp()
        vectors = {
            name: edge.EdgeVectorParams(size=p.size, distance=DISTANCE[p.distance])
            for name, p in r.vectors_config.params_map.map.items()
        }
        sparse = {
            name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if p.modifier == api.Modifier.Idf else None)
            for name, p in r.sparse_vectors_config.map.items()
        }
        self.shard = edge.EdgeShard.create(self.dir, edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse))

    def drop(self):
        self.shard.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class State:
    def __init__(self):
        self.lock, self.collections = threading.RLock(), {}

    def get(self, name, context):
        if name not in self.collections:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return self.collections[name]


def guarded(fn):
    """One call at a time; what the engine refuses is the caller's mistake."""

    def call(self, request, context):
        with self.state.lock:
            try:
                return fn(self, request, context)
            except NotImplementedError as e:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, str(e))
            except Exception as e:  # the engine has one kind of error for all
                if context.code() is not None:
                    raise
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {e}")

    return call


class Health(qdrant_pb2_grpc.QdrantServicer):
    def HealthCheck(self, request, context):
        return qdrant_pb2.HealthCheckReply(title="qdrant - vector search engine", version="1.20.0")


class Collections(collections_grpc.CollectionsServicer):
    def __init__(self, state):
        self.state = state

    @guarded
    def Create(self, r, context):
        if r.collection_name in self.state.collections:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{r.collection_name}` already exists!")
        self.state.collections[r.collection_name] = Collection(r)
        return api.CollectionOperationResponse(result=True)

    @guarded
    def Delete(self, r, context):
        c = self.state.collections.pop(r.collection_name, None)
        if c:
            c.drop()
        return api.CollectionOperationResponse(result=c is not None)

    @guarded
    def List(self, r, context):
        return api.ListCollectionsResponse(collections=[api.CollectionDescription(name=n) for n in self.state.collections])

    @guarded
    def CollectionExists(self, r, context):
        return api.CollectionExistsResponse(result=api.CollectionExists(exists=r.collection_name in self.state.collections))

    @guarded
    def Get(self, r, context):
        c = self.state.get(r.collection_name, context)
        return api.GetCollectionInfoResponse(result=api.CollectionInfo(
            status=api.CollectionStatus.Green, payload_schema=c.indexes, points_count=c.shard.info().points_count))


class Points(points_grpc.PointsServicer):
    def __init__(self, state):
        self.state = state

    def done(self):
        return api.PointsOperationResponse(result=api.UpdateResult(operation_id=1, status=api.UpdateStatus.Completed))

    @guarded
    def Upsert(self, r, context):
        c = self.state.get(r.collection_name, context)
        points = [edge.Point(
            id=point_id(p.id), payload={k: value(v) for k, v in p.payload.items()},
            vector={n: vector_of(v) for n, v in p.vectors.vectors.vectors.items()}) for p in r.points]
        mode = {0: edge.UpdateMode.Upsert, 1: edge.UpdateMode.InsertOnly, 2: edge.UpdateMode.UpdateOnly}[r.update_mode]
        only = filter_of(r.update_filter) if r.HasField("update_filter") else None
        c.shard.update(edge.UpdateOperation.upsert_points(points, only, mode))
        return self.done()

    @guarded
    def Delete(self, r, context):
        c = self.state.get(r.collection_name, context)
        if r.points.WhichOneof("points_selector_one_of") == "filter":
            c.shard.update(edge.UpdateOperation.delete_points_by_filter(filter_of(r.points.filter)))
        else:
            c.shard.update(edge.UpdateOperation.delete_points([point_id(i) for i in r.points.points.ids]))
        return self.done()

    @guarded
    def CreateFieldIndex(self, r, context):
        c = self.state.get(r.collection_name, context)
        c.shard.update(edge.UpdateOperation.create_field_index(r.field_name, SCHEMA[r.field_type]))
        c.indexes[r.field_name] = api.PayloadSchemaInfo(data_type=r.field_type + 1, params=r.field_index_params)
        return self.done()

    @guarded
    def Get(self, r, context):
        c = self.state.get(r.collection_name, context)
        found = c.shard.retrieve([point_id(i) for i in r.ids], payload_of(r.with_payload), False)
        return api.GetResponse(result=[retrieved(p) for p in found])

    @guarded
    def Scroll(self, r, context):
        c = self.state.get(r.collection_name, context)
        found, after = c.shard.scroll(edge.ScrollRequest(
            offset=point_id(r.offset) if r.HasField("offset") else None, limit=r.limit if r.HasField("limit") else 10,
            filter=optional_filter(r), with_payload=payload_of(r.with_payload)))
        return api.ScrollResponse(
            result=[retrieved(p) for p in found], next_page_offset=proto_id(after) if after is not None else None)

    @guarded
    def Count(self, r, context):
        c = self.state.get(r.collection_name, context)
        n = c.shard.count(edge.CountRequest(exact=True, filter=optional_filter(r)))
        return api.CountResponse(result=api.CountResult(count=n))

    @guarded
    def QueryBatch(self, r, context):
        c = self.state.get(r.collection_name, context)
        answers = c.shard.query_batch(edge.QueryBatchRequest([request_of(q) for q in r.query_points]))
        return api.QueryBatchResponse(result=[api.BatchResult(result=[scored(p) for p in a]) for a in answers])


def main():
    state = State()
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[
        ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_ping_strikes", 0)])
    qdrant_pb2_grpc.add_QdrantServicer_to_server(Health(), server)
    collections_grpc.add_CollectionsServicer_to_server(Collections(state), server)
    points_grpc.add_PointsServicer_to_server(Points(state), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("ready", port, flush=True)
    sys.stdin.read()
    server.stop(None)
    for c in state.collections.values():
        c.drop()


main()
