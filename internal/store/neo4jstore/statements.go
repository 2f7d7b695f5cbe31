package neo4jstore

// All statements are constants of this file. TestPlans asks the server how it would run each: none reads through a label or
// a type. Where a statement names its index, the server, which goes by how many nodes there are, would take another one in a
// database that is new.
//
//	(:SwitchyardMemory {workspace, id, version})
//	  -[:SWITCHYARD_MENTIONS {workspace, entity, memory, type, name, properties}]->     what it says of
//	(:SwitchyardEntity {workspace, id, type, name, rank})                               type and name normalised
//	  -[:SWITCHYARD_RELATED {id, type, support}]->
//	(:SwitchyardEntity)
//
//	(:SwitchyardMemory)-[:SWITCHYARD_STATES {related, memory, properties}]->(:SwitchyardEntity)
//	                                          what it says of the relationship of that id, which begins at the entity
//
// A rank is the support below zero: indexes go upwards only, in all their properties alike.

// lockWorkspaces writes to a node of each workspace, which locks it, in the order given. These nodes are never deleted.
const lockWorkspaces = `
UNWIND $workspaces AS id
MERGE (w:SwitchyardWorkspace {id: id})
SET w.writes = coalesce(w.writes, 0) + 1`

const storedVersions = `
UNWIND $memories AS x
MATCH (m:SwitchyardMemory {workspace: x.workspace, id: x.id})
RETURN x.i AS i, m.version AS version`

// withdrawRelated removes what memories say of relationships, and those of which nobody says anything any more.
const withdrawRelated = `
UNWIND $memories AS x
MATCH (:SwitchyardMemory {workspace: x.workspace, id: x.id})-[s:SWITCHYARD_STATES]->()
WITH s, s.related AS id
DELETE s
WITH id, count(*) AS withdrawn
MATCH ()-[r:SWITCHYARD_RELATED {id: id}]->()
SET r.support = r.support - withdrawn
WITH r WHERE r.support <= 0
DELETE r`

// withdrawEntities does the same with entities. Somebody else's relationships to them go with them.
const withdrawEntities = `
UNWIND $memories AS x
MATCH (:SwitchyardMemory {workspace: x.workspace, id: x.id})-[s:SWITCHYARD_MENTIONS]->(n:SwitchyardEntity)
WITH s, n
DELETE s
WITH n, count(*) AS withdrawn
SET n.rank = n.rank + withdrawn
WITH n WHERE n.rank >= 0
DETACH DELETE n`

const deleteMemories = `
UNWIND $memories AS x
MATCH (m:SwitchyardMemory {workspace: x.workspace, id: x.id})
DETACH DELETE m`

const putMemories = `
UNWIND $memories AS x
MERGE (m:SwitchyardMemory {workspace: x.workspace, id: x.id})
SET m.version = x.version`

const supportEntities = `
UNWIND $entities AS x
MATCH (m:SwitchyardMemory {workspace: x.workspace, id: x.memory})
MERGE (n:SwitchyardEntity {workspace: x.workspace, id: x.id})
ON CREATE SET n.type = x.typeKey, n.name = x.nameKey, n.rank = -1
ON MATCH SET n.rank = n.rank - 1
CREATE (m)-[:SWITCHYARD_MENTIONS {workspace: x.workspace, entity: x.id, memory: x.memory, type: x.type, name: x.name, properties: x.properties}]->(n)`

// makeRelated makes the relationships that are not there. MERGE would look for each among all that the entity has.
const makeRelated = `
UNWIND $related AS x
OPTIONAL MATCH ()-[r:SWITCHYARD_RELATED {id: x.id}]->()
WITH x, r WHERE r IS NULL
MATCH (a:SwitchyardEntity {workspace: x.workspace, id: x.from})
MATCH (b:SwitchyardEntity {workspace: x.workspace, id: x.to})
CREATE (a)-[:SWITCHYARD_RELATED {id: x.id, type: x.type, support: 0}]->(b)`

const supportRelated = `
UNWIND $states AS x
MATCH (m:SwitchyardMemory {workspace: x.workspace, id: x.memory})
MATCH (a:SwitchyardEntity {workspace: x.workspace, id: x.from})
MATCH ()-[r:SWITCHYARD_RELATED {id: x.related}]->()
SET r.support = r.support + 1
CREATE (m)-[:SWITCHYARD_STATES {related: x.related, memory: x.memory, properties: x.properties}]->(a)`

// Lists go on after the rank and id of a cursor. Were that said with OR, the server would read two parts and sort.
const listAll = `
MATCH (n:SwitchyardEntity) USING INDEX SEEK n:SwitchyardEntity(workspace, rank, id)
WHERE n.workspace = $workspace AND n.rank >= $rank AND n.id IS NOT NULL AND CASE WHEN n.rank = $rank THEN n.id > $id ELSE true END
RETURN n.id AS id, n.rank AS rank ORDER BY n.workspace, n.rank, n.id LIMIT $limit`

const listTyped = `
MATCH (n:SwitchyardEntity) USING INDEX SEEK n:SwitchyardEntity(workspace, type, rank, id)
WHERE n.workspace = $workspace AND n.type = $type AND n.rank >= $rank AND n.id IS NOT NULL AND CASE WHEN n.rank = $rank THEN n.id > $id ELSE true END
RETURN n.id AS id, n.rank AS rank ORDER BY n.workspace, n.type, n.rank, n.id LIMIT $limit`

const listNamed = `
MATCH (n:SwitchyardEntity) USING INDEX SEEK n:SwitchyardEntity(workspace, name, rank, id)
WHERE n.workspace = $workspace AND n.name = $name AND n.rank >= $rank AND n.id IS NOT NULL AND CASE WHEN n.rank = $rank THEN n.id > $id ELSE true END
RETURN n.id AS id, n.rank AS rank ORDER BY n.workspace, n.name, n.rank, n.id LIMIT $limit`

// listNamedAndTyped finds by the name: of one name there are few types.
const listNamedAndTyped = `
MATCH (n:SwitchyardEntity) USING INDEX SEEK n:SwitchyardEntity(workspace, name, rank, id)
WHERE n.workspace = $workspace AND n.name = $name AND n.rank >= $rank AND n.id IS NOT NULL AND CASE WHEN n.rank = $rank THEN n.id > $id ELSE true END AND n.type = $type
RETURN n.id AS id, n.rank AS rank ORDER BY n.workspace, n.name, n.rank, n.id LIMIT $limit`

const entitiesByID = `
UNWIND $ids AS id
MATCH (n:SwitchyardEntity {workspace: $workspace, id: id})
RETURN DISTINCT n.id AS id, n.rank AS rank ORDER BY rank, id LIMIT $limit`

const entitiesOfMemories = `
UNWIND $memories AS id
MATCH (:SwitchyardMemory {workspace: $workspace, id: id})-[:SWITCHYARD_MENTIONS]->(n:SwitchyardEntity)
RETURN DISTINCT n.id AS id, n.rank AS rank ORDER BY rank, id`

const adjacent = `
UNWIND $edge AS id
MATCH (:SwitchyardEntity {workspace: $workspace, id: id})-[:SWITCHYARD_RELATED]-(n:SwitchyardEntity)
WHERE NOT n.id IN $seen
RETURN DISTINCT n.id AS id, n.rank AS rank ORDER BY rank, id LIMIT $limit`

// entitySources reads the newest memories that support each entity from the end of an index: a hub has very many.
const entitySources = `
UNWIND $ids AS id
CALL (id) {
  MATCH ()-[s:SWITCHYARD_MENTIONS]->() USING INDEX SEEK s:SWITCHYARD_MENTIONS(workspace, entity, memory)
  WHERE s.workspace = $workspace AND s.entity = id AND s.memory IS NOT NULL
  RETURN s ORDER BY s.workspace DESC, s.entity DESC, s.memory DESC LIMIT $most
}
RETURN id AS entity, s.memory AS memory, s.type AS type, s.name AS name, s.properties AS properties`

const relatedSources = `
UNWIND $ids AS id
MATCH (a:SwitchyardEntity {workspace: $workspace, id: id})-[r:SWITCHYARD_RELATED]->(b:SwitchyardEntity)
WHERE b.id IN $ids
CALL (r) {
  MATCH ()-[s:SWITCHYARD_STATES]->() USING INDEX SEEK s:SWITCHYARD_STATES(related, memory)
  WHERE s.related = r.id AND s.memory IS NOT NULL
  RETURN s ORDER BY s.related DESC, s.memory DESC LIMIT $most
}
RETURN a.id AS from, r.type AS type, b.id AS to, s.memory AS memory, s.properties AS properties`

const heldByAll = `
MATCH (m:SwitchyardMemory)
WHERE m.workspace = $workspace AND m.id > $after
WITH m ORDER BY m.workspace, m.id LIMIT $limit
RETURN m.id AS id, m.version AS version,
  COUNT { (m)-[:SWITCHYARD_MENTIONS]->() } + COUNT { (m)-[:SWITCHYARD_STATES]->() } AS parts`

const heldBySome = `
UNWIND $ids AS id
MATCH (m:SwitchyardMemory {workspace: $workspace, id: id})
WHERE m.id > $after
WITH DISTINCT m ORDER BY m.id LIMIT $limit
RETURN m.id AS id, m.version AS version,
  COUNT { (m)-[:SWITCHYARD_MENTIONS]->() } + COUNT { (m)-[:SWITCHYARD_STATES]->() } AS parts`

// serverClock is the time at the server when it answers.
const serverClock = `RETURN datetime.realtime() AS now`
