"""Translate the settings of a connection for the rules of `domain/`, which know no settings."""

from __future__ import annotations

from connector.domain.launches.respondent_link import StartRules
from connector.domain.launches.rest import RestRules
from connector.domain.people.erasure import ErasureRules
from connector.domain.results.added_properties import AddedProperties
from connector.domain.results.decision import SyncRules
from connector.settings.model import Connection, Settings


def sync_rules(connection: Connection) -> SyncRules:
    """Return the settings that decide about a connection's interviews."""
    return SyncRules(
        connection=connection.name,
        project_id=connection.koji_project_id,
        field_aliases=connection.koji_field_aliases,
        min_quality=connection.connector_min_quality,
        null_email_is_anonymous=connection.connector_null_email_is_anonymous,
        trust_external_id=connection.connector_trust_external_id,
        min_id_length=connection.amplitude_min_id_length,
        can_read=connection.koji_api_key is not None,
        can_send=connection.amplitude_api_key is not None,
        vocabulary=connection.connector_themes_file,
        added=(connection.connector_mapping_file or AddedProperties())._replace(
            answers=connection.connector_answer_properties
        ),
    )


def start_rules(connection: Connection) -> StartRules:
    """Return the settings for the start of an interview: what Koji and the respondent get."""
    return StartRules(
        base_url=connection.koji_base_url,
        project_id=connection.koji_project_id,
        link_template=connection.koji_link_template,
        sends_email=connection.koji_send_email,
        complete_after_hours=connection.koji_complete_after_hours,
        people_a_day=connection.connector_max_interviews_per_launch,
    )


def rest_rules(settings: Settings) -> RestRules:
    """Return the settings that let people rest, over all connections."""
    return RestRules(
        settings.connector_rest_days_after_invitation,
        settings.connector_rest_days_after_interview,
        settings.connector_rest_days_without_answer,
        *(settings.connector_max_invitations or (0, 0)),
    )


def erasure_rules(connection: Connection) -> ErasureRules:
    """Return the settings for an erasure."""
    can_send = connection.amplitude_api_key is not None
    return ErasureRules(connection.connector_trust_external_id, can_send, connection.amplitude_min_id_length)
