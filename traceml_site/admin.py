"""Access checks for all models in the admin, whichever app or library registers them.

Django's admin allows filtering by any column, so that a hash or session key can be guessed letter by letter; it allows
an action without `permissions` to anyone who may view; and it fails on invalid keys, dates or text.
"""

from functools import wraps

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.options import BaseModelAdmin, IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import DataError
from django.db.models import Model
from django.http import Http404

#: Lookups that the admin's filters use, and those of its date hierarchy.
FILTERS = ("", "__exact", "__isnull", "__gte", "__lt", "__id__exact")
DATES = ("__year", "__month", "__day")
#: A longer search would exceed SQLite's expression depth.
LONGEST_SEARCH = 200


def is_key(model: type[Model], value) -> bool:
    """Whether the value is valid as a primary key of this model."""
    try:
        model._meta.pk.clean(value, None)  # type: ignore[union-attr]
    except ValidationError:
        return False
    return True


class Select(AutocompleteSelect):
    """Shows no selection for an invalid key, where Django's own looks it up and fails."""

    def optgroups(self, name, value, attr=None):
        model = self.field.remote_field.model
        return super().optgroups(name, [each for each in value if is_key(model, each)], attr)


class Choosing(BaseModelAdmin):
    """Uses such selects. All registered model admins have it; inlines can inherit it too."""

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Select(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class GoesWithOthers(ModelAdmin):
    """Objects that are deleted only with the object they belong to, never separately."""

    def has_delete_permission(self, request, obj=None):
        page = (request.resolver_match and request.resolver_match.url_name) or ""
        of_its_own = page.startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return page.endswith(("_delete", "_changelist")) and not of_its_own

    def get_model_perms(self, request):
        """Permissions for the admin's index pages."""
        return super().get_model_perms(request) | {"delete": False}


class Guarded(Choosing, ModelAdmin):
    """The checks that every registered model admin has."""

    def lookup_allowed(self, lookup, value, request):
        """Allow only the filters and dates that the list offers."""
        offered = {f"{name}{end}" for name in map(_parameter, self.get_list_filter(request)) for end in FILTERS}
        if self.date_hierarchy:
            offered |= {f"{self.date_hierarchy}{end}" for end in DATES}
        return lookup in offered

    def get_search_results(self, request, queryset, search_term):
        if len(search_term) > LONGEST_SEARCH:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def get_changelist_instance(self, request):
        try:
            return super().get_changelist_instance(request)
        except (IncorrectLookupParameters, ValueError, OverflowError, DataError) as error:
            raise BadRequest("This list can't be filtered or paged like that.") from error

    def get_actions(self, request):
        """Only actions that declare their permission."""
        found = super().get_actions(request)
        return {name: action for name, action in found.items() if getattr(action[0], "allowed_permissions", ())}  # type: ignore[index]

    def changelist_view(self, request, extra_context=None):
        """Refuse, rather than ignore, an action that the list does not offer this person."""
        if {*request.POST.getlist("action")} - {"", *self.get_actions(request)}:
            raise PermissionDenied
        if not all(is_key(self.model, chosen) for chosen in request.POST.getlist("_selected_action")):
            raise BadRequest("The selected items are not in this list.")
        return super().changelist_view(request, extra_context)

    def get_object(self, request, object_id, from_field=None):
        return super().get_object(request, object_id, from_field or None)  # an empty `_to_field` counts as missing

    def history_view(self, request, object_id, extra_context=None):
        if not is_key(self.model, unquote(object_id)):
            raise Http404
        return super().history_view(request, object_id, extra_context)


def _parameter(list_filter) -> str:
    """The query parameter of a filter."""
    if isinstance(list_filter, tuple):
        return list_filter[0]
    return getattr(list_filter, "parameter_name", list_filter)


class Autocomplete(AutocompleteJsonView):
    def process_request(self, request):
        found = super().process_request(request)
        if not found[2].concrete:  # a reverse relation, which offers no choices
            raise PermissionDenied
        return found


class Site(AdminSite):
    site_header = site_title = "TraceML administration"

    def register(self, model_or_iterable, admin_class=None, **options):
        chosen = admin_class or ModelAdmin
        guarded = type(chosen.__name__, (Guarded, chosen), {"__module__": chosen.__module__})
        super().register(model_or_iterable, guarded, **options)

    def admin_view(self, view, cacheable=False):
        return super().admin_view(_without_nul(view), cacheable)

    def autocomplete_view(self, request):
        return Autocomplete.as_view(admin_site=self)(request)


def _without_nul(view):
    """Refuse NUL: PostgreSQL can't store it and fails on it even in a search."""

    @wraps(view)
    def checked(request, *args, **kwargs):
        lists = [*request.GET.lists(), *request.POST.lists()]
        if any("\x00" in text for name, values in lists for text in (name, *values)):
            raise BadRequest("A request must not contain the character NUL.")
        return view(request, *args, **kwargs)

    return checked
