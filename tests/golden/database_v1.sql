BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE optdet_checkpoints (
	study_uuid VARCHAR(36) NOT NULL, 
	trial_number INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	path VARCHAR(4096) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	epoch INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	PRIMARY KEY (study_uuid, trial_number, kind)
);
INSERT INTO "optdet_checkpoints" VALUES('00000000-0000-4000-8000-000000000001',0,'best','runs/old/t0000/best.pt','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',2,1.79593470419823169701e+09);
CREATE TABLE optdet_inner_trials (
	study_uuid VARCHAR(36) NOT NULL, 
	trial_number INTEGER NOT NULL, 
	inner_number INTEGER NOT NULL, 
	thresh DOUBLE NOT NULL, 
	box_thresh DOUBLE NOT NULL, 
	unclip_ratio DOUBLE NOT NULL, 
	max_candidates INTEGER NOT NULL, 
	use_polygon BOOLEAN NOT NULL, 
	min_side DOUBLE NOT NULL, 
	precision DOUBLE NOT NULL, 
	recall DOUBLE NOT NULL, 
	hmean DOUBLE NOT NULL, 
	PRIMARY KEY (study_uuid, trial_number, inner_number)
)
 WITHOUT ROWID

;
INSERT INTO "optdet_inner_trials" VALUES('00000000-0000-4000-8000-000000000001',0,0,0.22,0.25,1.5,600,1,3.0,0.1,0.7,3.33333333333333314829e-01);
CREATE TABLE optdet_slots (
	slot_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study_uuid VARCHAR(36) NOT NULL, 
	trial_number INTEGER, 
	host VARCHAR(255) NOT NULL, 
	boot_id VARCHAR(64) NOT NULL, 
	pid INTEGER NOT NULL, 
	started DOUBLE NOT NULL, 
	beat DOUBLE NOT NULL, 
	n_takeovers INTEGER NOT NULL, 
	UNIQUE (study_uuid, trial_number)
);
INSERT INTO "optdet_slots" VALUES(1,'00000000-0000-4000-8000-000000000001',NULL,'host','boot',1,4444.08,1.7959347041971137523e+09,0);
CREATE TABLE optdet_version (
	version INTEGER NOT NULL, 
	release VARCHAR(64) NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "optdet_version" VALUES(1,'0.1.0');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'old');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'optdet:uuid','"00000000-0000-4000-8000-000000000001"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'optimizer.lr',0.0351296021277365,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 0.1, "log": true}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.96,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-29 06:45:04.117294','2026-11-29 06:45:04.193078');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('optdet_slots',1);
COMMIT;
