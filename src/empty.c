/* Stands in for a room that has no sources yet. */
typedef int tq_empty_room;
